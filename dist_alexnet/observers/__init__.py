"""Who looks on at a run besides the terminal: Prometheus and TensorBoard."""
