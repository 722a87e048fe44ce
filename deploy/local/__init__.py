"""A real Kafka broker and a real Postgres as child processes, with nothing to install but Python packages."""
