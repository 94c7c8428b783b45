"""The chain of what became of each order at an exchange."""
