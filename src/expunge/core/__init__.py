"""Frozen types that every package uses. Nothing here imports torch."""
