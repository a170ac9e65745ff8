"""Output folder of a video: nothing is replaced but the files of an earlier run, and none of those is left over."""

from pathlib import Path

from lib.errors import UserError
from lib.files import own_files
from lib.files.own_files import begins, contains, has_keys

OVERLAY = "overlay.mp4"
SUMMARY = "summary.json"
POSE = "pose.csv"  # of --mode track alone
_is_table = begins(b"frame,seconds,seen")
_KINDS = {
    SUMMARY: has_keys("frames", "frame_rate", "key_frames"),
    "arkit.csv": _is_table,
    POSE: _is_table,
    "coefficients.npz": begins(b"PK\x03\x04"),
    "rig.glb": contains(b'"generator":"3d-face-gcns"'),
    "rig.usdz": contains(b'doc = "3d-face-gcns"'),
}
# All that shows a motion. The overlay, which only the summary beside it tells from somebody's own video, goes first.
_MOTION = (OVERLAY, *_KINDS)


def some_of(frames: int, what: str, damaged: int) -> str:
    """Part of a run's last line: how many frames are such, and how many of these are damaged."""
    return f"{frames or 'none'} of them {what}" + (f" ({damaged} damaged)" if damaged else "")


def check_replaceable(source: Path, output: Path) -> None:
    """Raises UserError if the results would replace the video itself, or a file that is not of an earlier run."""
    overlay = output / OVERLAY
    if overlay.exists() and overlay.samefile(source):
        raise UserError(f"{output}: must not hold the video as {OVERLAY}, got it there (choose another --output)")
    own_files.check_replaceable(output, {**_KINDS, OVERLAY: lambda _: (output / SUMMARY).is_file()})


def remove_earlier(output: Path) -> None:
    """Removes what shows an earlier run's motion, so that a run that ends too soon leaves nothing of it."""
    for name in _MOTION:
        (output / name).unlink(missing_ok=True)
