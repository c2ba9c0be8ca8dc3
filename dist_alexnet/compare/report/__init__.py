"""What a comparison leaves: a page, JSON and CSV."""
