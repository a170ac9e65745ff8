"""A program with --shard whose parts end as its first argument says; tests run it on a cluster."""

import contextlib
import os
import signal
import time
from pathlib import Path

from lib.errors import DiskFull, InUse, UserError
from lib.files.locks import sole_user


def main(argv: list[str]) -> int:
    """Appends the part's name and its threads to a file in a folder, and then does what is wanted of that part.

    Args:
      argv: folder, how part 1 ends (`once`: killed at the first attempt; `always`: killed; `refuses`; `full`: by a full
        disk; `held`: its lock is still held at the first attempt; `later`: held until part 0 is done), and --shard I/N.
    """
    folder, ending, shard = Path(argv[0]), argv[1], argv[-1]
    log = folder / shard.replace("/", "-")
    first = not log.exists()
    with open(log, "a", encoding="utf-8") as stream:
        stream.write(f"{os.environ['OMP_NUM_THREADS']} {os.environ['CUDA_VISIBLE_DEVICES']} {os.getcwd()}\n")
    if ending == "later" and shard.startswith("0/"):
        time.sleep(5)  # longer than three attempts at the other part
        (folder.parent / "done").touch()
    if shard.startswith("1/"):
        if ending == "later":
            if not (folder.parent / "done").exists():
                raise InUse("must be used by one run at a time")
            return 0
        if ending == "refuses":
            raise UserError("must be good, got bad")
        if ending == "full":
            raise DiskFull("no space left")
        if ending == "held":
            with sole_user(folder.parent / "locks", "a test"), contextlib.ExitStack() as again:
                if first:  # a lock is that of an open file, also within a process
                    again.enter_context(sole_user(folder.parent / "locks", "a test"))
            return 0
        if ending == "always" or first:
            os.kill(os.getpid(), signal.SIGKILL)
    return 0
