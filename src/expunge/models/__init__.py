"""A model seen as a Subject: load, save, score, write, tap, select parameters."""
