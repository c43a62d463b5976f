"""The families of models that the program reads: a folder says of which it is."""
