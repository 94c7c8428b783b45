"""Practice: a day of trading on the exchange on the loopback, started and ended by one command."""
