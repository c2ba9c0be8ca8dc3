"""The numbers of a run and who takes them."""
