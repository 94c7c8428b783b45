"""What stands outside the evidence and remembers it: checkpoints and the journal."""
