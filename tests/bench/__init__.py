"""Benchmarks: `make bench`. Ratios within one run, never assertions of the test suite."""
