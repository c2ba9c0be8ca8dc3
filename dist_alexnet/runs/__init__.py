"""The folder of a run: where everything lies, who failed, what is left over, and whether it can still be written."""
