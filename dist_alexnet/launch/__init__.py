"""Ranks, wherever they come from: launchers, the driver that follows them, what makes a process a rank, what ranks agree on."""
