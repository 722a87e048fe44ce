"""All SQL, but that of a replay."""
