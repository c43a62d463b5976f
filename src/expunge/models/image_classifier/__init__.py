"""Image classifiers: load, save, read pictures, score classes."""
