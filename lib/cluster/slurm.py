"""Addresses of the processes of a SLURM job step, from the environment that `srun` gives each of them."""

import itertools
import re
from collections.abc import Iterator, Mapping

from lib.errors import UserError

NEEDED = (
    "SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE", "SLURM_PROCID", "SLURM_NODEID", "SLURM_LOCALID",
)  # fmt: skip
# Jobs that share a node get different ports, below those that Linux gives to outgoing connections (from 32768).
_FIRST_PORT, _PORTS_PER_JOB, _JOBS = 10_000, 40, 500


def step_addresses(environment: Mapping[str, str]) -> tuple[list[str], int]:
    """Addresses host:port of all processes of the step in the order of SLURM_PROCID, and this process's number.

    Raises:
      UserError: a variable is missing or malformed, or the step does not number the processes node by node.
    """
    if missing := [name for name in NEEDED if not environment.get(name)]:
        raise UserError(f"{missing[0]} must be set, got none (start the processes by srun, or set TF_CONFIG)")
    nodes = list(expand_nodes(environment["SLURM_STEP_NODELIST"]))
    tasks = _tasks(environment["SLURM_STEP_TASKS_PER_NODE"])
    if len(nodes) != len(tasks):
        raise UserError(
            f"SLURM_STEP_TASKS_PER_NODE must describe the {len(nodes)} nodes of SLURM_STEP_NODELIST, got {len(tasks)}"
        )
    job, index, node, local = (
        _number(environment, name) for name in ("SLURM_JOB_ID", "SLURM_PROCID", "SLURM_NODEID", "SLURM_LOCALID")
    )
    places = [(node, local) for node, count in enumerate(tasks) for local in range(count)]
    if index >= len(places) or places[index] != (node, local):
        raise UserError(
            f"SLURM_PROCID must count the processes node by node, got {index} for process {local} of node {node} (run "
            "srun with --distribution=block)"
        )
    port = _FIRST_PORT + _PORTS_PER_JOB * (job % _JOBS)
    return [f"{nodes[node]}:{port + local}" for node, local in places], index


def expand_nodes(text: str) -> Iterator[str]:
    """Names in a node list such as `login,rack[1-2]node[08-10,12]`, in order; numbers keep their leading zeros.

    Raises:
      UserError: the list has another form.
    """
    items = re.findall(r"(?:[^,\[\]\s]|\[[\d,-]+\])+", text)
    if not items or ",".join(items) != text:
        raise UserError(f"SLURM_STEP_NODELIST must be a list such as node[01-03],login, got '{text}'")
    for item in items:
        pieces = re.split(r"\[([\d,-]+)\]", item)  # literal text and, at odd places, ranges
        choices = [list(_expand_ranges(piece)) if i % 2 else [piece] for i, piece in enumerate(pieces)]
        yield from map("".join, itertools.product(*choices))


def _expand_ranges(text: str) -> Iterator[str]:
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None:
            raise UserError(f"SLURM_STEP_NODELIST must hold ranges such as [01-03,7], got '[{text}]'")
        first, last = match[1], match[2] or match[1]
        yield from (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))


def _tasks(text: str) -> list[int]:
    """Processes of each node, from a list such as `4(x2),3`."""
    counts: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            raise UserError(f"SLURM_STEP_TASKS_PER_NODE must be a list such as 4(x2),3, got '{text}'")
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def _number(environment: Mapping[str, str], name: str) -> int:
    if not re.fullmatch(r"\d+", environment[name], re.ASCII):
        raise UserError(f"{name} must be a number, got '{environment[name]}'")
    return int(environment[name])
