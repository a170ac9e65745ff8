"""The page's requests: upload of a photo, its progress, its results, and the page's own files."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from configs.serve_sections import Serve
from lib.errors import DiskFull, UserError
from lib.face_image.photo_io import photo_size
from lib.files.atomic import space_for
from model.photos.errors import failure_reason
from model.serving.guard import Guard
from model.serving.live import LiveRequests
from model.serving.photo_queue import FAILED, NO_SPACE, WORKING, Job, PhotoQueue, QueueFull, report_full_disk
from model.serving.refusal import Refused, fault, refusal

# Seconds in which more of a photo must arrive; and all of it, or so many for each MB that it may have.
PAUSE_SECONDS, UPLOAD_SECONDS, SECONDS_PER_MB = 30.0, 120.0, 4.0
# Results that the page shows or offers for download -> their type.
FILES = {
    "face.json": "application/json",
    "mesh.glb": "model/gltf-binary",
    "mesh_lit.glb": "model/gltf-binary",
    "mesh_obj.zip": "application/zip",
    "rig.glb": "model/gltf-binary",
    "coefficients.json": "application/json",
    "metrics.json": "application/json",
    **{f"{name}.png": "image/png" for name in ("crop", "coarse", "fine", "overlay", "landmarks")},
}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json"}


class Service:
    """The requests' handlers.

    Args:
      section: limits.
      photos: the queue.
      assets: path below / -> content of the page's own files; "" is the page.
      live: requests of the live head; None if it cannot be offered.
    """

    def __init__(
        self, section: Serve, photos: PhotoQueue, assets: Mapping[str, bytes], live: LiveRequests | None = None
    ):
        self.section, self.photos, self.assets, self.live = section, photos, assets, live

    def app(self) -> ASGIApp:
        """The ASGI application, behind its guard."""
        routes = [
            Route("/photos", self.places, methods=["GET"]),
            Route("/photos", self.upload, methods=["POST"]),
            Route("/photos/{id}", self.status, methods=["GET"]),
            Route("/photos/{id}", self.remove, methods=["DELETE"]),
            Route("/photos/{id}/{file}", self.result, methods=["GET"]),
            *(self.live.routes() if self.live else []),
            Route("/{path:path}", self.asset, methods=["GET"]),
        ]
        handlers = {Refused: refusal, HTTPException: refusal, Exception: fault}
        # Starlette answers faults outside of its own middleware, without the guard's headers.
        return Guard(Starlette(routes=routes, exception_handlers=handlers), self.section.names)

    async def places(self, _: Request) -> Response:
        """GET /photos: how many may be uploaded now, because one that finds no place is sent in full and refused."""
        return JSONResponse({"places": self.photos.places()})

    async def upload(self, request: Request) -> Response:
        """POST /photos?name=NAME with the file as body: 202 and the job."""
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise Refused(415, "a photo must be the body of the request itself, got a form (curl: --data-binary @FILE)")
        most = round(self.section.upload_mb * 1e6)
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > most:
            raise self._too_large()
        try:
            with space_for(self.photos.folder):
                job = self.photos.reserve(request.query_params.get("name", ""))
        except DiskFull as error:
            raise self._no_space(error) from None
        except QueueFull:
            await self._drain(request, most)
            raise Refused(
                429,
                f"the queue is full: at most {self.photos.most} photos may wait (serve.queue); try again in a moment",
                {"retry-after": "2"},
            ) from None
        try:
            with space_for(self.photos.folder):
                await self._receive(request, job, most)
            await run_in_threadpool(_check_photo, job)
            self.photos.submit(job)
        except BaseException as error:  # also if the browser goes away: the place must become free
            self.photos.remove(job)
            if isinstance(error, DiskFull):
                raise self._no_space(error) from None
            raise
        return JSONResponse(self._described(job), 202)

    async def status(self, request: Request) -> Response:
        """GET /photos/ID: state, place in the queue, stage, error, results."""
        return JSONResponse(self._described(self._job(request)))

    async def remove(self, request: Request) -> Response:
        """DELETE /photos/ID: removes photo and results."""
        self.photos.remove(self._job(request))
        return Response(status_code=204)

    async def result(self, request: Request) -> Response:
        """GET /photos/ID/FILE: one of `FILES`."""
        job, name = self._job(request), request.path_params["file"]
        path = job.results / name
        if not job.facts or name not in FILES:
            raise Refused(404, "there is no such result")
        try:
            found = path.stat()
        except FileNotFoundError:  # not written, or removed at this moment
            raise Refused(404, "there is no such result") from None
        stem = Path(job.name).stem
        return FileResponse(path, media_type=FILES[name], filename=f"{stem}_{name}", stat_result=found)

    async def asset(self, request: Request) -> Response:
        """GET of the page and its own files, all held in memory."""
        path = request.path_params["path"]
        if path not in self.assets:
            raise Refused(404, "there is no such page")
        kind = TYPES[Path(path or "page.html").suffix]
        return Response(self.assets[path], media_type=kind)

    def _job(self, request: Request) -> Job:
        job = self.photos.get(request.path_params["id"])
        if job is None:
            lifetime = self.section.lifetime
            raise Refused(404, f"there is no such photo, or no longer: photos are removed after {lifetime}")
        return job

    def _described(self, job: Job) -> dict:
        described = {"id": job.id, "name": job.name, "state": job.state, "position": self.photos.position(job)}
        if job.state == WORKING:
            described["stage"] = job.stage
        if job.state == FAILED:
            described["error"] = job.error
        if job.facts:
            described |= {"facts": job.facts, "files": [name for name in FILES if (job.results / name).is_file()]}
        return described

    def _too_large(self) -> Refused:
        return Refused(413, f"a photo must have at most {self.section.upload_mb:g} MB (serve.upload_mb), got more")

    def _no_space(self, error: DiskFull) -> Refused:
        report_full_disk(self.photos.folder, error)
        return Refused(507, NO_SPACE)

    async def _receive(self, request: Request, job: Job, most: int) -> None:
        """Writes the body to the job's folder as it arrives."""
        size = 0
        try:
            with open(job.photo, "wb") as stream:
                async with contextlib.aclosing(self._arriving(request)) as chunks:
                    async for chunk in chunks:
                        size += len(chunk)
                        if size > most:
                            raise self._too_large()
                        stream.write(chunk)
        except TimeoutError:
            raise Refused(
                408,
                f"a photo must arrive within {self._upload_seconds:g} s and without pauses of {PAUSE_SECONDS:g} s, got "
                f"{size:,} bytes",
            ) from None
        except ClientDisconnect:
            raise Refused(400, "the upload was broken off") from None
        if not size:
            raise Refused(400, "a photo must be sent as the body of the request, got nothing")

    async def _drain(self, request: Request, most: int) -> None:
        """Reads a body that is refused, up to the limits: browsers read no answer before they have sent all."""
        size = 0
        with contextlib.suppress(TimeoutError, ClientDisconnect):  # the refusal is the answer in any case
            async with contextlib.aclosing(self._arriving(request)) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        return

    @property
    def _upload_seconds(self) -> float:
        """Time that a browser may take to send a photo."""
        return max(UPLOAD_SECONDS, SECONDS_PER_MB * self.section.upload_mb)

    async def _arriving(self, request: Request) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; raises TimeoutError if it pauses or takes too long."""
        body, clock = aiter(request.stream()), asyncio.get_running_loop().time
        end = clock() + self._upload_seconds
        while True:
            async with asyncio.timeout_at(min(clock() + PAUSE_SECONDS, end)):
                chunk = await anext(body, None)
            if chunk is None:
                return
            yield chunk


def _check_photo(job: Job) -> None:
    """Looks at format and size of the uploaded file.

    Raises:
      Refused: it is not a photo that the program reads.
    """
    try:
        photo_size(job.photo)
    except UserError as error:
        raise Refused(415, failure_reason(job.photo, error)) from None
