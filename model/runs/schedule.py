"""Learning rate and loss weights as functions of the progress of a run."""

import math


def warmup_cosine(update: int, total_updates: int, peak: float, warmup: int) -> float:
    """Linear warm-up, then half a cosine, which would reach zero in the update after the last.

    Args:
      update: 0-based number of the next update.
      total_updates: length of the run.
      peak: learning rate at the end of the warm-up.
      warmup: number of updates of the warm-up; shortened to a tenth of the run, so that short ones get to the peak.
    """
    warmup = min(warmup, total_updates // 10)
    if update < warmup:
        return peak * (update + 1) / warmup
    progress = (update - warmup) / max(total_updates - warmup, 1)
    return peak * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def staircase_decay(epoch: int, initial: float, factor: float) -> float:
    """Published learning rate: `initial` x `factor` ^ completed epochs."""
    return initial * factor**epoch


def published_stage_weights(epoch: int) -> tuple[float, float]:
    """Published weights (coarse, render) of an epoch: first learn to copy the coarse albedo, then to render the photo.

    render = clip(0.2 epoch, 0, 1), coarse = clip(1 - render, 0.2, 1).
    """
    render = min(max(0.2 * epoch, 0.0), 1.0)
    return min(max(1.0 - render, 0.2), 1.0), render


def coarse_decay(update: int, total_updates: int, start: float, end: float, fraction: float) -> float:
    """Weight of the coarse-albedo term: linear from `start` to `end` over the first `fraction` of the run; 0: `end`."""
    if fraction == 0:
        return end
    ramp = max(fraction * total_updates, 1.0)
    return start + (end - start) * min(update / ramp, 1.0)
