"""Before the first order: what must be true of exchange, key and account, and how an account is brought to nothing."""
