"""Formats and tools of others."""
