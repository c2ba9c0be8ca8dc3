"""What stands on the page, as Dash's components."""
