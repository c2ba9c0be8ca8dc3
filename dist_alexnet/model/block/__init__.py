"""ReLU, normalisation and pooling as one operation: from torch's operators, or compiled for the CPU."""
