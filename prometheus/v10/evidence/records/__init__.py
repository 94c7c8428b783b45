"""What each artifact and line says. Nothing here opens a file of a run."""
