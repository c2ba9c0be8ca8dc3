"""Strategies side by side: the same steps in the same processes, in turn, and what each is limited by."""
