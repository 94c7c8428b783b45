"""One sealed directory being written: manifest, files, journal, seal, entry."""
