"""The network of 2012 as data and as one module."""
