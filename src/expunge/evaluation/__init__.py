"""A model judged: observations made once, metrics on their records, the comparison with gold."""
