"""What keeps a run alive: the service, liveness, stop, retention, releases."""
