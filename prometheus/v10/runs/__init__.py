"""One run, from a profile to a sealed directory."""
