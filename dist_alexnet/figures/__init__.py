"""Pictures of what the program knows, as text that needs nothing but a browser."""
