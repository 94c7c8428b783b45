"""Many agents on one account: one net order an instrument and bar, its fills given back to the last lot and quantum."""
