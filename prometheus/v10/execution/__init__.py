"""The exchange world (okx_demo, okx_live)."""
