"""Metrics: Records in, one Measurement out; one file each, named as in the paper."""
