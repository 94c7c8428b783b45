"""One instance: its lock, its interrupted runs, its survival curve."""
