"""Verification of what a session at an exchange leaves. Standard library only."""
