"""Commands that look into the topics and repair: history, dlq, replay."""
