"""Promotion: a Tier-2 run of an interesting death, and its proof."""
