"""Money of the venue: accounts, positions, margin, liquidation, bills; whole numbers only."""
