"""Ports for processes that compute together on this machine."""

import contextlib
import random
import socket

# Below those that Linux gives to outgoing connections (from 32768): one of these could take a port before its process
# listens, and a process that looks for another one could connect to itself.
_PORTS = range(20_000, 32_768)


def free_ports(count: int) -> list[int]:
    """Different ports that nothing on this machine listens on."""
    with contextlib.ExitStack() as resources:
        ports: list[int] = []
        for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):  # no seed of the program may choose twice alike
            with contextlib.suppress(OSError):
                resources.enter_context(socket.create_server(("", port)))
                ports.append(port)
            if len(ports) == count:
                return ports
    raise OSError(f"{count} ports from {_PORTS.start} to {_PORTS.stop - 1} must be free, got {len(ports)}")
