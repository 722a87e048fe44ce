"""What `orders partners`, `history`, `dlq` and `replay` do. Their options and help are in `deploy.signatures`."""
