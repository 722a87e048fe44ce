"""Kafka to Postgres to reply. All SQL of the project is in here."""
