"""What a run is asked for: the profile, its ranges, and the world that it means."""
