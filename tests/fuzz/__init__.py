"""Hostile bytes for every parser: each answers with a verdict or a documented error, never with another exception."""
