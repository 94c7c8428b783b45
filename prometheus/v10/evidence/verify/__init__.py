"""The verifier. Standard library only, with everything it imports."""
