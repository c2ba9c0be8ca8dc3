"""What ranks send each other, and the count of it: exchanges of channels and rows, gradients, the loss over sharded classes."""
