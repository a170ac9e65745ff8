"""Runs of the programs in child processes, and the commands that the soak disturbs."""
