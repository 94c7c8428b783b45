"""What the venue does to accounts unasked: liquidation, auto-deleveraging, funding."""
