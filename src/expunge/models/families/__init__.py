"""The families of models that the program reads, and which of them a folder is of."""
