"""Adapters: each makes one library, or one record, into an `ExchangePort`."""
