"""Load and faults from a seed, a history of every call, and a checker that decides whether the promises held."""
