"""Many cases in ranks that are started once: verify stands on it, and so does whatever compares strategies."""
