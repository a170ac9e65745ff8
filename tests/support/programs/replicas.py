"""Processes that a test starts on this machine by `run_replicas`: each writes what it was given, and ends as told.

    python -m tests.support.programs.replicas FOLDER COUNT ENDING

ENDING is how they end, see `_ENDINGS`; FOLDER receives started-0.json and so on, and the logs.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

FOREVER = 60.0
LEAVING_SECONDS = 1.0  # after a loss, in place of the program's own
BEFORE_THE_MEETING = "worker 1 killed before the meeting"
# What process `index` does once all have started, and its exit code.
_ENDINGS = {
    "well": lambda index: 0,
    "when told to stop": lambda index: _wait(),
    "by the signal": lambda index: _wait(signal.SIG_DFL),
    "never": lambda index: _wait(_noted),
    "refused": lambda index: 2,
    "the chief killed": lambda index: _killed() if index == 0 else _wait(),
    "worker 1 killed": lambda index: _killed() if index == 1 else _report(),
    BEFORE_THE_MEETING: lambda index: _killed() if index == 1 else _wait(),
}


def _noted(*_) -> None:
    """What a process does that is told to stop, and goes on."""
    Path(sys.argv[1], f"told-{os.getpid()}").touch()


def _wait(handler: Callable[..., None] | signal.Handlers | None = None) -> int:
    """Waits until this process or another one is told to stop, if no other handler is given."""
    folder, told = Path(sys.argv[1]), []
    signal.signal(signal.SIGTERM, (lambda *_: told.append(True)) if handler is None else handler)
    (folder / f"waits-{os.getpid()}").touch()
    deadline = time.monotonic() + FOREVER
    while not told and not (folder / "saved").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    (folder / "saved").touch()
    print(f"told to stop {len(told)} time(s)", file=sys.stderr)
    return 143


def _killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _report() -> int:
    """Notices the loss late, as a chief does that computes something long."""
    time.sleep(2 * LEAVING_SECONDS)
    print("error: worker 1 is lost", file=sys.stderr)
    return 2


def process(folder: Path, count: int, ending: str) -> int:
    """One of the processes."""
    configuration = json.loads(os.environ["TF_CONFIG"])
    index = configuration["task"]["index"]
    found = {name: os.environ.get(name) for name in ("TF_CONFIG", "CUDA_VISIBLE_DEVICES")}
    unfinished = folder / f"unfinished-{index}"
    unfinished.write_text(json.dumps({"pid": os.getpid(), **found}), encoding="utf-8")
    unfinished.rename(folder / f"started-{index}.json")
    print(f"process {index} writes")
    while len(list(folder.glob("started-*.json"))) < count:
        time.sleep(0.05)
    if ending == BEFORE_THE_MEETING:
        return _ENDINGS[ending](index)
    with socket.create_server(("", int(configuration["cluster"]["worker"][index].split(":")[1]))) as server:
        server.settimeout(FOREVER)
        server.accept()[0].close()
        (folder / f"met-{index}").touch()
        while len(list(folder.glob("met-*"))) < count:
            time.sleep(0.05)
        return _ENDINGS[ending](index)


def launch(folder: Path, count: int, ending: str) -> int:
    """Starts the processes, as the program does; they themselves need not import it."""
    from configs import flags
    from lib.cluster.replicas import run_replicas

    command = [sys.executable, "-m", "tests.support.programs.replicas", str(folder), str(count), ending]
    environments = [{"CUDA_VISIBLE_DEVICES": str(index)} for index in range(count)]
    more = [LEAVING_SECONDS] if "killed" in ending else []
    return flags.run(lambda: run_replicas(command, environments, folder, *more), "in general like this")


if __name__ == "__main__":
    arguments = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sys.exit((process if "TF_CONFIG" in os.environ else launch)(*arguments))
