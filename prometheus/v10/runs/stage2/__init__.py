"""Stage 2: genomes of a snapshot are judged alone and together."""
