"""What the venue does wrong on purpose: a closed catalogue, and what is injected when and against whom."""
