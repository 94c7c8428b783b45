"""The gate: whether evolution used the order of the market's returns, by a rule that was fixed before the run."""
