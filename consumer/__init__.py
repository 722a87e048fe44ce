"""From Kafka to Postgres to the reply. All SQL of the project is here."""
