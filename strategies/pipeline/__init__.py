"""Neighbouring layers on each rank, and the microbatches that pass through them."""
