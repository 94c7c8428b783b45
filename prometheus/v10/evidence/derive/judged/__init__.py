"""What follows from the sealed bytes of a run of stage 2. Standard library only."""
