"""An incident: its record and its bundle."""
