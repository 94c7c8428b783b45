"""What is kept of every call: raw parts with their index, and the fingerprint by endpoint. Current in mid-run."""
