"""The floor of the venue: resting orders in their queues, and the state of one environment that every rule works on."""
