"""Commands that evolve for minutes or hours: workers, the kill switch, and a bar."""
