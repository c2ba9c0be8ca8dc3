"""From sources to sets: squares and shards, statistics, and the check of what was written."""
