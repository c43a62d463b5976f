"""Losses, reweighting, gradients and weight deltas: pure functions on tensors."""
