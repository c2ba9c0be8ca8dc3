"""Runs in a browser: a page that reads what they have written, and keeps nothing. Dash is imported here alone."""
