"""OKX's REST interface over any transport: paths, rate buckets, codes, pages, and rows made into our own types."""
