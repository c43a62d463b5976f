"""Pure functions on tensors and arrays: no model, no file."""
