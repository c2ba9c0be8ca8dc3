"""The loop, the update rule of 2012, checkpoints, and the one entry point of a rank."""
