"""Builds the tables again from the topic, in a schema of its own, with the decode, fold and applier of a consumer."""
