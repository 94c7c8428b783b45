"""Room on the disk: what is free, what is held back, what is used."""
