"""Dead letters: how they are written, read, settled and redriven."""
