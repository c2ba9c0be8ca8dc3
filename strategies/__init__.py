"""One file or folder per strategy, and what two of them share (`towers.py`). They import dist_alexnet, never each other."""
