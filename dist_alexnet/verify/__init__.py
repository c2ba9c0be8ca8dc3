"""The proof that strategies compute the same step: run a few under each, compare everything with one process."""
