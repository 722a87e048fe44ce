"""What producers and consumers of the order topics agree on. Imports only pydantic and the standard library."""
