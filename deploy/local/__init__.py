"""A real Kafka broker and a real Postgres as child processes. Only Python packages need to be installed."""
