"""What a run leaves to be read by itself and by others: writing, reading, and whether a run may go on from it."""
