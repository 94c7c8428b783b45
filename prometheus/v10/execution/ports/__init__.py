"""What the exchange world says to an exchange and hears from it, in types of its own: no library's type crosses it."""
