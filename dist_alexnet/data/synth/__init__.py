"""Generated photographs, for whoever has none."""
