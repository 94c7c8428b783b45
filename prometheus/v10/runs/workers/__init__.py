"""Who computes, and that what computes is the locked world."""
