"""The same intents through both libraries: what differs on the wire and in meaning, as a log that only grows."""
