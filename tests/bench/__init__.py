"""Benchmarks of a running platform; each measures ours beside a reference in the same run."""
