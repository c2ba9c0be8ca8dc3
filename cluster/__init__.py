"""Ray: runs the same worker function on a cluster."""
