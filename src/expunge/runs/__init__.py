"""Run folders: lock, resume, set aside, run.yaml, the chain of digests."""
