"""prometheus-quant: a safe, auditable, deployable evolution suite for trading agents."""

__version__ = "0.2.0"
