"""What every adapter with a library behind it shares: credentials, whose files a library is, the transport around it."""
