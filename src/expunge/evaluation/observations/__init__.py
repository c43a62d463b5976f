"""One file per pass over a model: what it reads, what it finds."""
