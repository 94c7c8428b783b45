"""What each endpoint answers, by theme: public data, market data, the account, orders."""
