"""Benchmarks: what this machine does, always beside a reference doing the same work in the same run."""
