"""Downloads of bars and funding rates: the one room of this package that reaches an exchange for history.

Nothing here needs numpy: an installed host runs it with its own Python. What it fetched is read by `sources`.
"""
