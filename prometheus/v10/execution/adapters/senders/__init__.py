"""What adapters with a library behind them share: credentials, whose files a library is, the transport around it."""
