"""What a run keeps of an exchange: every call, every line of its order chain, and what its manifest says of it."""
