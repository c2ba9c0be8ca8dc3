"""One file per strategy, one class per file; each imports dist_alexnet only."""
