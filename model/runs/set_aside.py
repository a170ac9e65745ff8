"""What the folder of a run holds when its best checkpoint is missing: an unfinished run, and runs set aside for it."""

from pathlib import Path

PREFIX = "previous-"  # of the folder for an earlier run; a number follows


def what_is_left(run_dir: Path) -> str:
    """What there is in place of a finished run, and what to do with it, for messages; empty if there is nothing."""
    parts = []
    if (run_dir / "latest.npz").is_file():
        parts.append("its run is unfinished (--mode train --restore continues it)")
    if (earlier := _newest(run_dir)) is not None:
        parts.append(f"an earlier run is in {earlier} (to use it again, move its files up to {run_dir})")
    return "; ".join(parts)


def missing(checkpoint: Path) -> str:
    """The error of a missing checkpoint."""
    left = what_is_left(checkpoint.parent)
    command = "`python main.py --mode train` with the same --config, --model and other options"
    advice = f"; {left}" if left else f" (run {command} first)"
    return f"{checkpoint}: a checkpoint must be here, got none{advice}"


def shipped_instead(run_dir: Path, weights: str) -> str:
    """The message that a run without best.npz does not reconstruct photos, and that the shipped weights do."""
    left = what_is_left(run_dir)
    why = f"{run_dir}: no best.npz; {left}" if left else f"nothing was trained in {run_dir}"
    return f"{why}; uses the shipped texture network, {weights}, if it fits the face model and the options"


def _newest(run_dir: Path) -> Path | None:
    """The last folder of an earlier run with a best checkpoint."""
    numbers = (path.parent.name.removeprefix(PREFIX) for path in run_dir.glob(f"{PREFIX}*/best.npz"))
    last = max((int(number) for number in numbers if number.isdecimal()), default=None)
    return None if last is None else run_dir / f"{PREFIX}{last}"
