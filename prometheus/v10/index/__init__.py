"""The index of an installation: rows made from its files, for questions over many runs. No verdict reads it."""
