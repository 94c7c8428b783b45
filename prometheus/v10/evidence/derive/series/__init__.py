"""A population over time, held against the experiment's events and its row. Standard library only."""
