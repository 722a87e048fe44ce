"""Order upsert over Kafka: HTTP in, Kafka between, Postgres out, exact counts back."""
