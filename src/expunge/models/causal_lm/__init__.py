"""Causal language models: load, save, tokenize, score, generate, hook."""
