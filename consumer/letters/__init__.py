"""Dead letters: written, read, settled and redriven."""
