"""JSON Schemas of every record, made from the record classes, and what reads them."""
