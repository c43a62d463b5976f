"""Rows of a hub's shape, written by the tests themselves; nothing comes from outside."""

from benchmark_rows import data, no_folder_from_outside, put  # noqa: F401 (fixtures)
