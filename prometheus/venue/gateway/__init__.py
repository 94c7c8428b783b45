"""The interface of the venue: signatures, rate buckets, envelopes, paging, and one function for each endpoint."""
