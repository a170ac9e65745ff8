"""One part of a divided job as a task of a cluster. A process of its own imports this module for each part."""

import importlib
import os
from collections.abc import Sequence

from lib.errors import DiskFull, InUse, UserError


def run_part(program: str, arguments: Sequence[str], folder: str) -> str:
    """Runs a program with `--shard`, as its command line does.

    Args:
      program: module with the function main.
      arguments: its command line.
      folder: where its relative paths start.

    Returns:
      Why the program refuses the command, or that the disk is full, in its words; empty if the part is done. All else
      raises, and may pass if the part is tried again.
    """
    os.chdir(folder)
    try:
        importlib.import_module(program).main(list(arguments))
    except InUse:  # perhaps by an earlier attempt at the part, on a machine that only seems lost
        raise
    except (UserError, DiskFull) as error:
        return str(error) or "an error without a message"
    return ""
