"""Frozen types shared by every room. Nothing here imports torch."""
