"""Prices of the venue: bars become a path, the path a book, a mark and a funding rate. No file, no socket."""
