"""From a request to a run: settings, training inputs, unlearn, evaluate, attack."""
