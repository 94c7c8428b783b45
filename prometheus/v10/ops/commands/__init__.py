"""Use cases of the command line, one function each: they work and return a `Report`; only ``prometheus.cli`` prints."""
