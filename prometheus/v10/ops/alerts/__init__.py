"""What leaves an installation: figures for a monitoring system, and messages for a person who is not looking.

It only reads. No path leads from outside back into an installation: what a monitoring system or a channel answers
changes nothing here but whether a message is sent again.
"""
