"""Methods: what changes weights. One file is one member."""
