"""Orders of the venue: what is admitted, who trades with whom, and in which order."""
