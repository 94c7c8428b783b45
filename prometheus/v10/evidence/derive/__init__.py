"""What a run's own bytes imply: every derivable figure, computed again. Standard library only."""
