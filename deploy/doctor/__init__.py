"""`orders doctor`: looks at Kafka, Postgres and this machine from outside, and changes nothing."""
