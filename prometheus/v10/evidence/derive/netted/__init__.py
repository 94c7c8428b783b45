"""What follows from the bytes of a netting round. Standard library only."""
