"""All SQL except that of a replay."""
