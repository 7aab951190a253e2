"""Many writers at once: each position has one winner, and what was acknowledged is there."""
