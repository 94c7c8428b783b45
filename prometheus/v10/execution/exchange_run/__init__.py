"""The exchange world as one more workload of the one run: opened, traded bar by bar, filed, sealed."""
