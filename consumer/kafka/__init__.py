"""Adapters to Kafka: reading and sending records. Only the composition roots also touch the client library."""
