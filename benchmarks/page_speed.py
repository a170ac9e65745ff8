"""Measures how long the page of --mode serve takes for photos, in headless Chromium (pip install playwright).

python -m benchmarks.page_speed PHOTO... [--idle SECONDS] [--chromium PROGRAM]

Starts the page, drops the photos one after the other, each when the one before is done, and prints for each the
seconds from the drop until its head is drawn, and until all files can be downloaded. The first photo is dropped
`--idle` seconds after the page has opened; with 0, the program has had no time to warm up.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HEAD_DRAWN = "(name) => opened?.name === name && view.face && !view.stale && view.canvas.height > 100"
ALL_WRITTEN = "(name) => photos.find((photo) => photo.name === name)?.state === 'done'"
FAILED = "(name) => photos.find((photo) => photo.name === name && photo.state === 'failed')?.item.innerText"
SHOW = """(name) => photos.filter((photo) => photo.name === name && (loading ?? opened)?.id !== photo.id)
    .forEach((photo) => show(photo))"""
CAN_BE_SHOWN = "(name) => photos.some((photo) => photo.name === name && photo.facts)"
LONGEST = 120.0  # seconds for a photo


def drop(page: Any, photo: Path) -> tuple[float, float]:
    """Drops a photo; returns the seconds until its head is drawn, and until its files can be downloaded."""
    started, passed = time.monotonic(), []
    page.set_input_files("#choose", [photo])
    for condition in (CAN_BE_SHOWN, HEAD_DRAWN, ALL_WRITTEN):
        while not page.evaluate(condition, photo.name):
            if reason := page.evaluate(FAILED, photo.name):
                raise SystemExit(reason)
            if time.monotonic() - started > LONGEST:
                raise SystemExit(f"{photo}: must be reconstructed within {LONGEST:g} s")
            page.wait_for_timeout(20)
        if condition is CAN_BE_SHOWN:
            page.evaluate(SHOW, photo.name)
        passed.append(time.monotonic() - started)
    return passed[1], passed[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO", help="their names must differ")
    parser.add_argument("--idle", type=float, default=0.0, help="seconds before the first photo")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser's program")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    program = [sys.executable, "main.py", "--mode", "serve", "serve.port=0"]
    started = time.monotonic()
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            address = next(filter(None, (re.search(r"http://\S+", line) for line in server.stdout)), None)
            if address is None:
                raise SystemExit("--mode serve must print an address, got none (run it to see the reason)")
            print(f"the page can be opened after {time.monotonic() - started:.1f} s")
            as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
            with sync_playwright() as browsers:
                flags = ["--enable-unsafe-swiftshader", *as_root]
                browser = browsers.chromium.launch(executable_path=arguments.chromium, args=flags)
                page = browser.new_page(viewport={"width": 1200, "height": 900}, reduced_motion="reduce")
                page.goto(address[0])
                page.wait_for_timeout(1000 * arguments.idle)
                for photo in arguments.photos:
                    drawn, written = drop(page, photo)
                    print(f"{photo.name}: head after {drawn:.1f} s, all files after {written:.1f} s")
                browser.close()
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
