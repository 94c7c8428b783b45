"""Commands that watch, stop, release, check and clear up: they work and return a `Report`."""
