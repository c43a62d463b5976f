"""Scores, intervals and tests: pure functions on arrays and texts."""
