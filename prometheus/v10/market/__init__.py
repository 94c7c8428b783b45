"""Where bars come from: importers, the synthetic market, windows, the null arm."""
