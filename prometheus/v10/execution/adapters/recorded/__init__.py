"""Replays kept calls as if the exchange answered again: what was sent must be what was sent then."""
