"""A session's bars: one net order each, its truth, the reconciliation, and the decision to go on."""
