"""What a terminal shows: lines, tables, bars, the line of a run."""
