"""The audit: a whole tree held against its ledger and witnesses. Standard library only."""
