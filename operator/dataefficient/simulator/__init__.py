"""A trainer with known truth and the loop that drives the real state machine against it."""
