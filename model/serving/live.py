"""The live head: frames of one visitor's webcam, each answered with the pose and expression of the face in it."""

import asyncio
import functools
import io
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from configs import schema
from model.photos.errors import failure_reason, photo_barrier
from model.reconstruction.face_reconstructor import FaceReconstructor
from model.serving.reconstruction import PhotoWork
from model.serving.refusal import Refused
from model.tracking.face_points import FacePoints
from model.tracking.newcomer import Newcomer
from model.tracking.tracker import FaceTracker

# Limits of a frame: bytes, pixels of a side, and seconds in which it must arrive.
MOST_BYTES, LONGEST_SIDE, UPLOAD_SECONDS = 1_000_000, 1280, 10.0
# A visitor who has sent no frame for this time has left; the next one may begin.
IDLE_SECONDS = 5.0
MOST_TOLD = 10  # different reasons for failed frames of a visitor that are printed


class LiveFace:
    """Tracks a face whose owner is unknown: identity from the first frames, then pose and expression.

    Args:
      config: the effective configuration, with fit.landmarks.
      reconstruct: the page's reconstructor, of which only constants are used: its networks belong to another thread,
        but for the detector, which keeps no state.
      work: gives the weights of the page's sliders.
    """

    def __init__(self, config: schema.Config, reconstruct: FaceReconstructor, work: PhotoWork):
        self._config, self._reconstruct, self._work = config, reconstruct, work
        model, camera = reconstruct.pipeline.face_model, reconstruct.pipeline.camera
        self._find = FacePoints(config.test.min_confidence)
        assert reconstruct.mesh is not None, "fit.landmarks is true"
        self._newcomer = Newcomer(model, camera, reconstruct.mesh, reconstruct.weights)
        self._tracker: FaceTracker | None = None
        self._told: set[str] = set()

    def __call__(self, frame: np.ndarray, seconds: float) -> dict[str, Any]:
        """The face in a frame, uint8 [H, W, 3], as the page's script reads it.

        Raises:
          Refused: the program has failed. The page forgives that at a few frames in a row.
        """
        with photo_barrier(self._report):
            return self._followed(frame, seconds)
        raise Refused(500, "the program has failed at the webcam's frames; its output says why")

    def _report(self, error: Exception) -> None:
        """Prints why a frame failed, once for all with the same reason."""
        reason = failure_reason(Path("frame"), error)
        if reason not in self._told and len(self._told) < MOST_TOLD:
            print(f"a frame of the live head failed: {reason}", file=sys.stderr)
            self._told.add(reason)

    def _followed(self, frame: np.ndarray, seconds: float) -> dict[str, Any]:
        if self._tracker is None:
            points = self._find(frame, seconds)
            if points is None:
                return {"state": "lost"}
            self._newcomer.add(points)
            if not self._newcomer.missing:
                self._tracker = self._track()
            return {"state": "learning", "missing": self._newcomer.missing}
        face = self._tracker(frame, seconds)
        if face is None:
            return {"state": "lost"}
        weights = self._work.weights(face.expression, face.gaze)
        return {"state": "face", "angles": [round(float(angle), 5) for angle in face.angles], "weights": weights}

    def _track(self) -> FaceTracker:
        reconstruct, pipeline = self._reconstruct, self._reconstruct.pipeline
        assert reconstruct.mesh is not None, "fit.landmarks is true"
        return FaceTracker(
            self._find,
            pipeline.face_model,
            self._newcomer.identity(),
            pipeline.camera,
            reconstruct.mesh,
            reconstruct.weights,
            self._config.track.cutoff,
        )


# A face's answer to a frame, uint8 [H, W, 3], at a time in seconds.
Follow = Callable[[np.ndarray, float], dict[str, Any]]


class LiveRequests:
    """Tracking for one visitor at a time, one frame at a time; frames are never queued.

    Args:
      begin: makes the face of a new visitor.
      clock: seconds that only increase.
    """

    def __init__(self, begin: Callable[[], Follow], clock: Callable[[], float] = time.monotonic):
        self._begin, self._clock = begin, clock
        self._working = threading.Lock()
        self._id, self._used = "", -np.inf
        self._follow: Follow | None = None

    def routes(self) -> list[Route]:
        """The routes below /live."""
        return [
            Route("/live", self.start, methods=["POST"]),
            Route("/live/{id}", self.frame, methods=["POST"]),
            Route("/live/{id}", self.stop, methods=["DELETE"]),
        ]

    async def start(self, _: Request) -> Response:
        """POST /live: 201 and the ID of the tracking."""
        if self._id and self._clock() - self._used < IDLE_SECONDS:
            raise Refused(409, "another visitor's face is being tracked; try again in a moment")
        identifier = secrets.token_urlsafe(16)
        self._id, self._used, self._follow = identifier, self._clock(), None
        try:
            follow = await run_in_threadpool(self._begin)
        except BaseException:  # the place must become free
            if self._id == identifier:
                self._id = ""
            raise
        if self._id == identifier:
            self._follow = follow
        return JSONResponse({"id": identifier}, 201)

    async def frame(self, request: Request) -> Response:
        """POST /live/ID with a JPEG as body: the face in it."""
        self._check(request)
        content = await _received(request)
        self._check(request)  # somebody else may have begun meanwhile
        assert self._follow is not None
        self._used = self._clock()
        return JSONResponse(await run_in_threadpool(functools.partial(self._work, self._follow, content)))

    async def stop(self, request: Request) -> Response:
        """DELETE /live/ID: ends the tracking."""
        self._check(request)
        self._id, self._follow = "", None
        return Response(status_code=204)

    def _check(self, request: Request) -> None:
        if self._follow is None or not secrets.compare_digest(request.path_params["id"].encode(), self._id.encode()):
            raise Refused(404, "this tracking has ended")

    def _work(self, follow: Follow, content: bytes) -> dict[str, Any]:
        if not self._working.acquire(blocking=False):
            raise Refused(429, "the last frame is still in work: send the next one after its answer")
        try:
            started = self._clock()
            answer = follow(_decoded(content), started)
            return answer | {"milliseconds": round(1e3 * (self._clock() - started), 1)}
        finally:
            self._working.release()


async def _received(request: Request) -> bytes:
    """The body of a frame's request."""
    content = bytearray()
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise Refused(413, f"a frame must have at most {MOST_BYTES:,} bytes, got more")
    except TimeoutError:
        raise Refused(408, f"a frame must arrive within {UPLOAD_SECONDS:g} s, got {len(content):,} bytes") from None
    except ClientDisconnect:
        raise Refused(400, "the frame was broken off") from None
    return bytes(content)


def _decoded(content: bytes) -> np.ndarray:
    """Pixels uint8 [H, W, 3] of a JPEG.

    Raises:
      Refused: it is something else, damaged or too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            if max(image.size) > LONGEST_SIDE:
                width, height = image.size
                raise Refused(413, f"a frame must have sides of at most {LONGEST_SIDE} px, got {width} x {height}")
            return np.ascontiguousarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Refused(415, f"a frame must be a whole JPEG, got {len(content):,} bytes that are none") from None
