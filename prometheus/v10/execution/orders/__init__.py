"""The write-ahead chain of orders: what was meant is durable before it is sent, what became of it is written down."""
