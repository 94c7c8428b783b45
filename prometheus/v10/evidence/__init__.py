"""Everything that is written: manifest, events, raw parts, telemetry, pools, snapshots, seals, verify."""
