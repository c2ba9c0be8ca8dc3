"""Weights in shards, gathered layer by layer."""
