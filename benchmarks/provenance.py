"""Where and with what a benchmark was measured: commit, machine, versions; and what results were made of."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from configs import schema
from lib.files.own_code import code_version
from model.reconstruction.shards.run import files_in_use

WRITTEN = ("docs", "results")  # where benchmarks write


def commit() -> str:
    """Short hash of the checked-out commit, with a + if files differ from it that are no results of benchmarks.

    "unknown" where there is no git, or no history.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=schema.REPOSITORY, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    others = (f":(top,exclude){folder}" for folder in WRITTEN)
    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", *others)
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def machine() -> str:
    """Processor, cores that this process may use, and operating system."""
    return f"{_processor()}, {_cores()} cores, {platform.system()} {platform.release()}"


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of installed packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _processor() -> str:
    if Path("/proc/cpuinfo").is_file():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def test_mode_origin(source: Path, overrides: list[str]) -> dict[str, Any]:
    """What results of test mode are made of: photos and files beside them, options, networks, face model and code."""
    config = schema.load(None, overrides)
    return {
        "input": str(source.resolve()),
        "files": content_hash(source, sorted(path for path in source.rglob("*") if path.is_file())),
        "options": sorted(overrides),
        "networks": content_hash(schema.REPOSITORY, files_in_use(config)),
        "code": code_version()[:16],
    }


def content_hash(folder: Path, paths: Iterable[Path]) -> str:
    """Short hash of the names, relative to a folder, and the contents of files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(os.path.relpath(path, folder).encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
