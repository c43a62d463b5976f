"""Data that methods need before they can start."""
