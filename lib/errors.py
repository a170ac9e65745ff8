"""Exceptions for expected failures: bad user input and a full disk. This module imports nothing."""


class UserError(ValueError):
    """Bad user input (a flag, a file, a folder); the programs print it as one line and exit with code 2."""


class DiskFull(Exception):
    """The disk is full; not caught by code that skips bad photos, because every following photo would fail too."""
