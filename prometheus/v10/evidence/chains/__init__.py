"""Hash-chained files, and the ledger among them."""
