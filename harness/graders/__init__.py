"""Graders: pure functions from a response and a gold answer to a grade."""
