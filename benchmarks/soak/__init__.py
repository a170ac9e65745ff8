"""The long proof of docs/RELIABILITY.md: every kind of interruption and damage, many times; run by `make soak`."""
