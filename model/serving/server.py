"""The server of --mode serve: one process, one address, a temporary folder that ends with it."""

import contextlib
import functools
import ipaddress
import math
import shutil
import socket
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

import jinja2
import uvicorn

from configs import schema
from configs.serve_sections import Serve
from lib.errors import UserError
from lib.files.locks import sole_user
from lib.runtime.interruption import DeferredStop, advised
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.report.page import read_asset
from model.serving.app import Service
from model.serving.live import LiveFace, LiveRequests
from model.serving.photo_queue import PhotoQueue
from model.serving.reconstruction import PhotoWork

FOLDER = Path(__file__).resolve().parent
# The report's viewer, and the page's own files.
VIEWER = ("style.css", "face_mesh.js", "renderer.js", "face_view.js")
OWN = ("serve.css", "expression.js", "head.js", "photos.js", "camera.js")
LIVE = ("live.js",)  # if a head can follow the webcam
# Connections at the same time; a browser opens six.
MOST_CONNECTIONS = 100
# Time that running requests have when the server is told to stop.
SHUTDOWN_SECONDS = 2
# Time that a photo's stage has to end after a further order to stop, and how often the server looks for one.
LEAVING_SECONDS, LOOK_SECONDS = 10.0, 0.5


def serve(config: schema.Config) -> None:
    """Serves the page until the process is told to stop.

    Raises:
      UserError: address or port cannot be used, or there is no trained network.
      Interrupted: told to stop; photos and results have been removed.
    """
    section = config.serve
    keep = Path(section.keep) if section.keep else None
    stored = f"kept results are in {keep}; all other results are removed" if keep else "photos and results are removed"
    with contextlib.ExitStack() as stack:
        stack.enter_context(advised(lambda: stored))
        listening = stack.enter_context(listen(section))
        if keep is not None:
            stack.enter_context(sole_user(keep, "results of --mode serve"))
        reconstruct = FaceReconstructor.load(config)
        work = PhotoWork(reconstruct, keep)
        live = None
        if config.fit.landmarks:
            live = LiveRequests(functools.partial(LiveFace, config, reconstruct, work))
        files = assets(section, work.shared(), live is not None)
        # A further order to stop must not interrupt the removal of the visitors' photos.
        with (
            DeferredStop(merge_seconds=math.inf) as stop,
            tempfile.TemporaryDirectory(prefix="face-gcn-") as folder,
        ):
            photos = PhotoQueue(
                Path(folder), work, section.queue, section.results, 60 * section.minutes, prepare=work.warm_up
            )
            print(address(listening), flush=True)
            photos.start()
            try:
                PageServer(Service(section, photos, files, live), stop).run(sockets=[listening])
            finally:
                end_work(photos, stop)
        if stop.requested:
            raise stop.interruption(stored)


def end_work(photos: PhotoQueue, stop: DeferredStop) -> None:
    """Waits until the photo in work has ended its stage, after a further order to stop at most `LEAVING_SECONDS`."""
    while not photos.stop(LOOK_SECONDS):
        if stop.repeated:
            print(f"\nwaits at most {LEAVING_SECONDS:g} s for the stage of the photo in work", file=sys.stderr)
            if not photos.stop(LEAVING_SECONDS):
                # Twice, here and with the temporary folder: the thread may be writing.
                shutil.rmtree(photos.folder, ignore_errors=True)
            return


def listen(section: Serve) -> socket.socket:
    """A socket that listens on the section's address.

    Raises:
      UserError: the address is not this computer's, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in section.host else socket.AF_INET
    try:
        return socket.create_server((section.host, section.port), family=family)
    except OSError as error:
        raise UserError(
            f"serve.host, serve.port: must be a free address of this computer, got {section.host}, port {section.port} "
            f"({error.strerror or error}; serve.port=0 takes any free port)"
        ) from error


def address(listening: socket.socket) -> str:
    """The line that the program prints when the page can be opened."""
    host, port = listening.getsockname()[:2]
    line = f"open http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops the server)"
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        line += "\nother computers can reach this address, and nobody is asked for a password: see docs/guide/serve.md"
    return line


class PageServer(uvicorn.Server):
    """Server of the page's requests that ends, with its connections closed, when `stop` is requested.

    Uvicorn's own handling of signals is replaced: it knows no SIGHUP, and an exception that a handler raises in the
    middle of the event loop would leave connections open.
    """

    def __init__(self, service: Service, stop: DeferredStop):
        super().__init__(
            uvicorn.Config(
                service.app(),
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,  # it would close the handlers of other packages
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        return self._stop.requested or await super().on_tick(counter)


def assets(section: Serve, shared: bytes, live: bool) -> Mapping[str, bytes]:
    """The page and its files: path below / -> content.

    Args:
      section: limits that the page names.
      shared: what all faces share (`PhotoWork.shared`).
      live: whether a head can follow the webcam.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    own = OWN + (LIVE if live else ())
    scripts = [name for name in (*VIEWER, *own) if name.endswith(".js")]
    page = environment.get_template("page.html").render(section=section, scripts=scripts, live=live)
    files = {name: read_asset(name).encode() for name in VIEWER}
    files |= {name: (FOLDER / name).read_bytes() for name in own}
    return {"": page.encode(), "shared.json": shared, **files}
