"""What producers and consumers of the order topics agree on. Imports pydantic and the standard library only."""
