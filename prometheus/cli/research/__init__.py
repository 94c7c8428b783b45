"""Commands that run, judge and look at what ran: they work and return a `Report`."""
