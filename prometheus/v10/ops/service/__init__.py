"""What the service does between and beside its runs."""
