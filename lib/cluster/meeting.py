"""Processes that compute together, perhaps on several machines: their addresses, and their meeting at the start."""

import json
import re
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lib.cluster.slurm import step_addresses
from lib.errors import UserError

MEETING_SECONDS = 600  # a scheduler may start the processes minutes apart
_NOTICE_SECONDS = 5.0
_ANSWER_SECONDS = 2.0
_LAST_PORT = 65535
_FORM = '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """Addresses of all processes.

    Attributes:
      addresses: host:port of each; the first one is the chief.
      index: number of this process.
    """

    addresses: tuple[str, ...]
    index: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Cluster":
        """Reads TF_CONFIG if it is set, and the variables of SLURM's srun otherwise.

        Raises:
          UserError: neither is set, or it is malformed.
        """
        if environment.get("TF_CONFIG"):
            return cls._of_tf_config(environment["TF_CONFIG"])
        if "SLURM_JOB_ID" in environment:
            addresses, index = step_addresses(environment)
            return cls(tuple(addresses), index)
        raise UserError(
            "--distribute multi_worker: TF_CONFIG must list the processes, or SLURM's srun must have started them, got "
            f"neither (set TF_CONFIG to {_FORM})"
        )

    @classmethod
    def _of_tf_config(cls, text: str) -> "Cluster":
        try:
            content = json.loads(text)
            jobs, task = content["cluster"], content["task"]
            if unknown := sorted(jobs.keys() - {"chief", "worker"}):
                raise UserError(f"TF_CONFIG must list only chief and workers, got {', '.join(unknown)} (form: {_FORM})")
            chiefs, workers = jobs.get("chief", []), jobs.get("worker", [])
            first, count = {"chief": (0, len(chiefs)), "worker": (len(chiefs), len(workers))}[task["type"]]
            number, addresses = int(task["index"]), [*chiefs, *workers]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"TF_CONFIG must have the form {_FORM}, got '{text}' ({error!r})") from None
        for address in addresses:
            if (
                not isinstance(address, str)
                or not re.fullmatch(r"[^\s:/]+:\d{1,5}", address, re.ASCII)
                or _port(address) > _LAST_PORT
            ):
                raise UserError(f"TF_CONFIG must list addresses host:port, got '{address}'")
        if len(set(addresses)) < len(addresses):
            raise UserError(f"TF_CONFIG must list each address once, got {', '.join(addresses)}")
        if not 0 <= number < count or len(chiefs) > 1:
            raise UserError(f"TF_CONFIG must give the task one of the {len(addresses)} addresses, got {task}")
        return cls(tuple(addresses), first + number)

    def name(self, index: int) -> str:
        """Name of a process in messages."""
        return f"{'the chief' if index == 0 else f'worker {index}'} ({self.addresses[index]})"

    def meet(self, seconds: float = MEETING_SECONDS) -> None:
        """Waits until all other processes have started; until then, this process's port answers them.

        Raises:
          UserError: the port is in use, or a process is not there in time.
        """
        began, noticed = time.monotonic(), False
        missing = {index: "" for index in range(len(self.addresses)) if index != self.index}
        try:
            # Nobody accepts the connections: it is enough that they can be made.
            listener = socket.create_server(("", _port(self.addresses[self.index])), backlog=2 * len(self.addresses))
        except OSError as error:
            raise UserError(
                f"{self.name(self.index)}: must be an address of this machine whose port is free, got {error.strerror} "
                "(wait until an earlier run has ended, or give another port)"
            ) from error
        with listener:
            while missing := self.unreachable(missing):
                waited = time.monotonic() - began
                if waited > seconds:
                    name, reason = self.name(min(missing)), missing[min(missing)]
                    raise UserError(
                        f"all {len(self.addresses)} processes must start within {seconds:.0f} s of each other, got no "
                        f"answer from {name}: {reason} (see its messages, or correct its address; then start all again)"
                    )
                if waited > _NOTICE_SECONDS and not noticed:
                    noticed = True
                    print(f"waiting for {', '.join(map(self.name, missing))}", file=sys.stderr)
                time.sleep(0.2)

    def unreachable(self, indices: Iterable[int]) -> dict[int, str]:
        """The processes among `indices` that do not answer, with the reasons."""
        reasons = {}
        for index in indices:
            host, port = self.addresses[index].split(":")[0], _port(self.addresses[index])
            try:
                socket.create_connection((host, port), timeout=_ANSWER_SECONDS).close()
            except OSError as error:
                reasons[index] = error.strerror or "it does not answer"
        return reasons


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
