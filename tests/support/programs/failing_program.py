"""A program with --shard whose parts end as its first argument says; tests run it on a cluster."""

import os
import signal
from pathlib import Path

from lib.errors import UserError


def main(argv: list[str]) -> int:
    """Appends the part's name and its threads to a file in a folder, and then does what is wanted of that part.

    Args:
      argv: folder, how part 1 ends (`once`: killed at the first attempt; `always`: killed; `refuses`), and --shard I/N.
    """
    folder, ending, shard = Path(argv[0]), argv[1], argv[-1]
    log = folder / shard.replace("/", "-")
    first = not log.exists()
    with open(log, "a", encoding="utf-8") as stream:
        stream.write(f"{os.environ['OMP_NUM_THREADS']} {os.environ['CUDA_VISIBLE_DEVICES']} {os.getcwd()}\n")
    if shard.startswith("1/"):
        if ending == "refuses":
            raise UserError("must be good, got bad")
        if ending == "always" or first:
            os.kill(os.getpid(), signal.SIGKILL)
    return 0
