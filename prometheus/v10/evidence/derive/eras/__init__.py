"""Eras: which bars, which lines, who founds them."""
