"""ccxt as the sender, behind our own transport policy. The only place that imports ``ccxt``."""
