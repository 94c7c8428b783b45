"""The C ladder: what a rung asks, and what sealed sessions at an exchange show of it. It reads files alone."""
