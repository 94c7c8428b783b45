"""The world. Frozen: numpy and numba only, no I/O, no clock, no logging, no configuration files."""
