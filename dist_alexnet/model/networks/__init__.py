"""Networks, each a table of layers."""
