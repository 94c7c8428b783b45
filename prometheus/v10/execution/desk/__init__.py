"""Where the session, the netting and the exchange meet."""
