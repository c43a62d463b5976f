"""What is built from runs: sweep, tuning, meta-evaluation, the demo."""
