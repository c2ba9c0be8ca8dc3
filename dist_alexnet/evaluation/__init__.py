"""How good a network is: views of each image, counts over all ranks, and what an evaluation needs before it starts."""
