"""Files that bars come from, and the library that they are imported into."""
