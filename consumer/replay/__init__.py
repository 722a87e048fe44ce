"""The tables again, from the topic, in a schema of their own: the same decode, fold and applier as the consumer."""
