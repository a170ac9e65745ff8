"""Exceptions for expected failures, bad user input and a full disk, and their messages. This module imports nothing."""


class UserError(ValueError):
    """Bad user input (a flag, a file, a folder); the programs print it as one line and exit with code 2."""


class InUse(UserError):
    """Another run uses a folder or a file, which it will leave sooner or later."""


class GivenUp(UserError):
    """Processes were killed one after the other, so that no more are started."""


class DiskFull(Exception):
    """The disk is full; not caught by code that skips bad photos, because every following photo would fail too.

    Args:
      fact: what did not fit.
      advice: what to do, for the end of the message.
    """

    def __init__(self, fact: str, advice: str = "free space or choose another folder, then run the same command again"):
        super().__init__(fact, advice)
        self.fact, self.advice = fact, advice

    def __str__(self) -> str:
        return f"{self.fact} ({self.advice})"


def one_line(error: object, most: int | None = None) -> str:
    """The message of an exception as one line of at most `most` characters; its type if it has none."""
    return " ".join(str(error).split())[:most] or type(error).__name__
