"""The frozen world stepped with fills from outside: the port that gives them, and how they are booked."""
