"""Comparisons of this program with others in speed, memory and error; `make bench` writes docs/BENCHMARKS.md."""
