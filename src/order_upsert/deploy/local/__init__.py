"""Kafka and Postgres as child processes of this machine, from Python and Maven packages."""
