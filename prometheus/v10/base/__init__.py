"""Words every room shares: errors and exit codes, modes, paths, names, the clock, durable files.

Standard library only, so that the stand-alone verifier may use them.
"""
