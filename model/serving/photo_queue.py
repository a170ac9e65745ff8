"""Bounded queue of uploaded photos, the thread that works on them, and the results until they expire."""

import contextlib
import dataclasses
import functools
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lib.files.atomic import is_disk_full
from lib.files.file_names import printable
from model.photos.errors import failure_reason

UPLOADING, WAITING, WORKING, DONE, FAILED = "uploading", "waiting", "working", "done", "failed"
# Seconds between two looks for expired results while nothing is to be done.
IDLE_SECONDS = 5.0
LONGEST_NAME = 120
# What a visitor reads, who can neither free space nor choose another folder; the operator reads where on stderr.
NO_SPACE = "the disk of this page's program is full; try again later"


def report_full_disk(folder: Path, error: BaseException) -> None:
    """Prints the operator's line for a full disk under the temporary folder, which no option chooses."""
    cause = error.__cause__ or error  # of a DiskFull, the system's own error
    reason = cause.strerror if isinstance(cause, OSError) else cause
    print(
        f"{folder}: must have room for photos and results, got: {reason} (free space, or set TMPDIR to a folder on "
        "another disk and start again)",
        file=sys.stderr,
    )


class QueueFull(Exception):
    """As many photos as allowed are waiting."""


class Stopped(Exception):
    """The work on a photo is no longer wanted."""


@dataclasses.dataclass(eq=False)
class Job:
    """One uploaded photo.

    Attributes:
      id: unguessable; whoever knows it may see the photo.
      name: name of the photo's file, for display.
      folder: all its files; removed with the job.
      state: UPLOADING, WAITING, WORKING, DONE or FAILED.
      stage: what is being done while it is WORKING.
      error: why it FAILED.
      facts: numbers and remarks of the result, for the page; not empty as soon as its face can be shown, also if the
        work FAILED after that.
      ended: when it was DONE or FAILED, in the clock's seconds.
      removed: the user has taken it back.
    """

    id: str
    name: str
    folder: Path
    state: str = UPLOADING
    stage: str = ""
    error: str = ""
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    ended: float = 0.0
    removed: bool = False

    @property
    def photo(self) -> Path:
        """The uploaded file; it keeps the suffix of its name, because that decides about the format."""
        suffix = Path(self.name).suffix.lower()
        return self.folder / f"photo{suffix if suffix[1:].isalnum() and suffix.isascii() else ''}"

    @property
    def results(self) -> Path:
        """Folder of the results."""
        return self.folder / "result"


@dataclasses.dataclass(frozen=True)
class Progress:
    """What the work on a photo reports; both functions raise `Stopped` if it is no longer wanted.

    Attributes:
      enter: called with the description of each stage before it begins.
      show: called with the job's facts when the face can be shown and other files are still to be written.
    """

    enter: Callable[[str], None]
    show: Callable[[dict[str, Any]], None]


# Reconstructs a job's photo into its folder of results; returns the job's facts.
Work = Callable[[Job, Progress], dict[str, Any]]


class PhotoQueue:
    """Photos in the order of their arrival, worked on one at a time by one thread.

    Args:
      folder: temporary folder for photos and results.
      work: the work on one photo.
      most: photos that may be uploaded, waiting or in work at the same time.
      results: finished photos to hold.
      seconds: time after which finished photos are removed.
      clock: seconds that only increase.
      prepare: called in the thread before it takes the first photo, with a function to call before each of its stages,
        which raises `Stopped` if a photo is waiting.
    """

    def __init__(
        self,
        folder: Path,
        work: Work,
        most: int,
        results: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        prepare: Callable[[Callable[[str], None]], None] | None = None,
    ):
        self.folder, self.most, self.results, self.seconds = Path(folder), most, results, seconds
        self._work, self._clock, self._prepare = work, clock, prepare
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="reconstruction", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, seconds: float | None = None) -> bool:
        """Ends the thread after the stage it is in; waits at most so long, and returns whether it has ended."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def places(self) -> int:
        """Number of photos that may be uploaded at this moment."""
        with self._changed:
            taken = sum(job.state in (UPLOADING, WAITING, WORKING) for job in self._jobs.values())
            return max(self.most - taken, 0)

    def reserve(self, name: str) -> Job:
        """A place for a photo that is about to be uploaded; `submit` or `remove` must follow.

        Raises:
          QueueFull: there is no place.
        """
        name = printable(name.replace("\\", "/").rsplit("/", 1)[-1])[-LONGEST_NAME:] or "photo"
        with self._changed:
            if not self.places():
                raise QueueFull
            job = Job(secrets.token_urlsafe(16), name, self.folder / secrets.token_hex(16))
            # Systems that tidy up their temporary folder remove one that nobody has used for days.
            self.folder.mkdir(mode=0o700, exist_ok=True)
            job.folder.mkdir(mode=0o700)
            self._jobs[job.id] = job
        return job

    def submit(self, job: Job) -> None:
        """Puts an uploaded photo into the queue."""
        with self._changed:
            job.state = WAITING
            self._changed.notify_all()

    def get(self, identifier: str) -> Job | None:
        """A job by its id; None if there is no such job, or no longer."""
        with self._changed:
            self._expire()
            return self._jobs.get(identifier)

    def remove(self, job: Job) -> None:
        """Removes a job and its files; work on it ends after the current stage."""
        with self._changed:
            self._remove(job)

    def position(self, job: Job) -> int:
        """Number of photos before a waiting one, the one in work included; 0 for all others."""
        with self._changed:
            if job.state != WAITING:
                return 0
            ahead = [other for other in self._jobs.values() if other.state in (WAITING, WORKING)]
            return ahead.index(job)

    def _run(self) -> None:
        if self._prepare is not None:
            with contextlib.suppress(Stopped):
                self._prepare(self._go_on_idle)
        while (job := self._next()) is not None:
            error, facts = "", {}
            progress = Progress(functools.partial(self._enter, job), functools.partial(self._show, job))
            try:
                facts = self._work(job, progress)
            except Stopped:
                error = "stopped"
            except Exception as problem:  # whatever it is, a full disk included, the next photo gets its turn
                error = failure_reason(job.photo, problem)
                if is_disk_full(problem):
                    report_full_disk(self.folder, problem)
                    error = NO_SPACE
            with self._changed:
                job.error, job.facts, job.ended = error, facts or job.facts, self._clock()
                job.state = FAILED if error else DONE  # last: requests read a job without the lock
                if job.removed:
                    shutil.rmtree(job.folder, ignore_errors=True)
                self._expire()

    def _next(self) -> Job | None:
        """Waits for the next photo; None when the thread must end."""
        with self._changed:
            while not self._stopping:
                self._expire()
                job = next((job for job in self._jobs.values() if job.state == WAITING), None)
                if job is not None:
                    job.state = WORKING
                    return job
                self._changed.wait(IDLE_SECONDS)
        return None

    def _enter(self, job: Job, stage: str) -> None:
        with self._changed:
            self._check_wanted(job)
            job.stage = stage

    def _show(self, job: Job, facts: dict[str, Any]) -> None:
        with self._changed:
            self._check_wanted(job)
            job.facts = facts

    def _check_wanted(self, job: Job) -> None:
        if job.removed or self._stopping:
            raise Stopped

    def _go_on_idle(self, stage: str) -> None:
        with self._changed:
            if self._stopping or any(job.state == WAITING for job in self._jobs.values()):
                raise Stopped

    def _expire(self) -> None:
        """Removes finished jobs that are too old or too many."""
        ended = sorted((job for job in self._jobs.values() if job.state in (DONE, FAILED)), key=lambda job: job.ended)
        surplus, now = len(ended) - self.results, self._clock()
        for place, job in enumerate(ended):
            if place < surplus or now - job.ended >= self.seconds:
                self._remove(job)

    def _remove(self, job: Job) -> None:
        job.removed = True
        self._jobs.pop(job.id, None)
        if job.state != WORKING:  # else its thread removes the files
            shutil.rmtree(job.folder, ignore_errors=True)
