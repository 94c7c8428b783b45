"""An exchange of our own on the loopback: OKX's v5 interface over a seeded market; see its rooms from `market/` up."""
