"""Data parallelism, and the update that its ranks may share out."""
