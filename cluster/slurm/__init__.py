"""A script for Slurm."""
