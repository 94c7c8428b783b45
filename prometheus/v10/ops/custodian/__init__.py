"""The custodian: the only writer of a host's evidence. A stage's payload asks it, and it does what the rules allow."""
