"""The exchange world (okx_demo, okx_live): from an intent to fills that the exchange's own records prove."""
