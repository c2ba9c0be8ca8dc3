"""Convolutions data parallel, fully connected layers model parallel (arXiv 1404.5997), and a step of them in halves."""
