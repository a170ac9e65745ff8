"""The two faults that are no bugs: what the user gave, and a full disk. This module imports nothing."""


class UserError(ValueError):
    """A fault in what the user gave (a flag, a file, a folder): the programs print it as one line and exit with 2."""


class DiskFull(Exception):
    """Nothing more can be written: no fault of one photo, so what goes on after a photo's faults does not catch it."""
