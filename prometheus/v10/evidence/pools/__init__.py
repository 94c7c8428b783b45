"""The pool of genomes: its records, its snapshots, and what vouches for them."""
