"""Trainings as jobs of a Ray cluster: sent, followed, stopped, and their results fetched."""
