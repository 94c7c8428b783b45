"""What is known: sending once, finding out what became of it, reconciling with the exchange, and when to stop."""
