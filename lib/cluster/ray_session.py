"""Ray, started on this machine or found at an address: without its messages, and with its failures in one line.

Ray is imported here only, and only once it is needed: it is an optional package.
"""

import contextlib
import importlib.util
import logging
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lib.errors import UserError
from lib.runtime.interruption import Interrupted

LOCAL = "local"
_AUTO = "auto"
_FORM = re.compile(r"(?:ray://)?([^\s:/]+):(\d{1,5})", re.ASCII)
_ANSWER_SECONDS = 5.0
_OBJECT_BYTES = 80 * 2**20  # tasks return a few bytes; Ray would reserve a third of the memory
# A gRPC server answers the beginning of an HTTP/2 connection with its settings.
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4
# Read when Ray is imported, and by the processes that it starts.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to its makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a warning about GPUs
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
# On this machine, everything listens to the loopback interface alone: whoever reaches Ray can run code.
_LOOPBACK = "127.0.0.1"
_NO_NETWORK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
# Processes that Ray starts in advance lack the tasks' environment: they cost seconds and are never used.
_NO_PRESTART = {"RAY_enable_worker_prestart": "0", "RAY_prestart_worker_first_driver": "0"}
_BAD_TOKEN = b"InvalidAuthToken"


@contextlib.contextmanager
def ray_session(address: str, cpus: int, environment: Mapping[str, str]) -> Iterator[Any]:
    """Context manager that yields the module `ray`, connected; what was started for it ends with it.

    Args:
      address: `local` for this machine, `auto` for the cluster that RAY_ADDRESS names or this machine belongs to,
        host:port or ray://host:port.
      cpus: number of tasks at a time on this machine, for `local`.
      environment: variables of the processes that run tasks, set before they start.

    Raises:
      UserError: Ray is not installed, or there is no cluster at the address.
    """
    check_installed()
    address = _checked(address)
    arguments: dict[str, Any] = {
        "runtime_env": {"env_vars": dict(environment)},
        "log_to_driver": False,
        "logging_level": logging.CRITICAL,
    }
    with contextlib.ExitStack() as resources:
        os.environ.update(_QUIET)
        if address == LOCAL:
            # Names of sockets have 107 bytes at most, and Ray adds 70 to the folder's name.
            folder = resources.enter_context(
                tempfile.TemporaryDirectory(
                    prefix="face3d-", dir="/tmp" if os.path.isdir("/tmp") else None, ignore_cleanup_errors=True
                )
            )
            os.environ.update(_NO_NETWORK | _NO_PRESTART | _own_token(Path(folder)))
            arguments |= {
                "num_cpus": cpus,
                "include_dashboard": False,
                "object_store_memory": _OBJECT_BYTES,
                "_node_ip_address": _LOOPBACK,
                "_temp_dir": folder,
            }
        ray = importlib.import_module("ray")
        resources.callback(ray.shutdown)
        _connect(ray, address, arguments)
        yield ray


def check_installed() -> None:
    """Raises UserError if Ray is not installed."""
    try:
        found = importlib.util.find_spec("ray")
    except ValueError:  # a module without a specification is in its place
        found = None
    if found is None:
        raise UserError("--cluster: Ray must be installed, got no ray (pip install -r requirements-cluster.txt)")


def _own_token(folder: Path) -> dict[str, str]:
    """Keeps other users of this machine out; without it, Ray would store a token in the user's home."""
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32), encoding="ascii")
    os.environ.pop("RAY_AUTH_TOKEN", None)  # would count more than the file
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path)}


@contextlib.contextmanager
def _captured_stderr() -> Iterator[Callable[[], bytes]]:
    """Context manager that keeps what is written to stderr, also by native code; yields what reads it."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield lambda: os.pread(captured.fileno(), 2**20, 0)
        finally:
            os.dup2(original, 2)
            os.close(original)


def _connect(ray: Any, address: str, arguments: Mapping[str, Any]) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with _captured_stderr() as written:
            try:
                ray.init(address, **arguments)
            finally:
                refused = _BAD_TOKEN in written()
    except SystemExit as error:  # Ray's own answer to SIGTERM
        raise Interrupted(number=signal.SIGTERM) from error
    except Exception as error:  # whatever kind: Ray's errors have no common class
        if refused or isinstance(error, ray.exceptions.AuthenticationError):
            raise UserError(
                f"--cluster {address}: must have the token of the cluster, got another (set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN_PATH to the token's file)"
            ) from error
        raise UserError(f"--cluster {address}: must reach Ray, got {_first_line(error)} (try again)") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)
    if address == LOCAL and (outside := {node["NodeManagerAddress"] for node in ray.nodes()} - {_LOOPBACK}):
        raise UserError(f"--cluster local: Ray must listen to {_LOOPBACK} only, got {', '.join(outside)}")


def _checked(address: str) -> str:
    """The address, once something there answers like Ray: Ray waits minutes before it gives up, and then aborts."""
    if address == _AUTO:
        address = os.environ.get("RAY_ADDRESS", _AUTO)
    if address in (LOCAL, _AUTO):
        return address
    match = _FORM.fullmatch(address)
    if match is None or int(match[2]) >= 2**16:
        raise UserError(f"--cluster must be local, auto, host:port or ray://host:port, got '{address}'")
    try:
        with socket.create_connection((match[1], int(match[2])), timeout=_ANSWER_SECONDS) as connection:
            connection.sendall(_HTTP2)
            # With RAY_USE_TLS=1, only an encrypted greeting is answered.
            if os.environ.get("RAY_USE_TLS", "0") == "0" and connection.recv(4)[3:] != bytes([_SETTINGS]):
                raise OSError("an answer of another program")
    except OSError as error:
        raise UserError(
            f"--cluster {address}: must be the address of a running Ray cluster, got {error.strerror or error} (start "
            "one by `ray start --head`, or use --cluster local)"
        ) from error
    return address


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(":")
