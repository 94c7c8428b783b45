"""A population over time: the record of it, and the moments that it has."""
