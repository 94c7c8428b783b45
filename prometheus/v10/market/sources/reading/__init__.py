"""Readers of files that others wrote: from bytes of any shape to rows with a time, prices and volumes."""
