"""The two command lines: everything (`main`), and what an installed host has (`host`)."""
