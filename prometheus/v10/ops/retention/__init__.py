"""What is packed or removed, and when."""
