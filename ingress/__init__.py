"""HTTP to Kafka, and the reply back. Depends on Kafka only: it knows nothing of Postgres."""
