"""How gradients change weights: the update rule, and the rates that it is given."""
