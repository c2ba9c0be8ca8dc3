"""The person's side of a run: it follows the ranks, relays signals, and says how they ended."""
