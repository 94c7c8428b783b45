"""What follows from the raw calls of a run at an exchange. Standard library only, and none of the code that traded."""
