"""Methods compared: at their own settings, at equal utility, at equal budget."""
