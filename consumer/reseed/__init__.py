"""The tables as the truth once more: events for the orders that the topic does not explain (docs/operating.md)."""
