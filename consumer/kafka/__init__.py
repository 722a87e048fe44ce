"""The only place that knows the client library of Kafka."""
