"""Takes orders over HTTP, publishes them to Kafka, and answers with their outcomes. Does not know Postgres."""
