"""Who sees which image when, and how it is drawn: a function of seed and position alone."""
