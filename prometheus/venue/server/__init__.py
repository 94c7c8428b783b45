"""The sockets of the venue: the loopback server, the admin socket, and the pace of its clock."""
