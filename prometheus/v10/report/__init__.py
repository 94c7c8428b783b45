"""Views of what is sealed: they read, and decide nothing."""
