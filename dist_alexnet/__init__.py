"""One AlexNet, many ways to spread it."""

__version__ = "0.1.0"
