"""Number of GPUs, counted by a process of its own: a program that only starts others need not import TensorFlow."""

import os
import subprocess
import sys

from lib.errors import UserError

# TensorFlow itself, because it leaves out GPUs that it was not built for.
_PROGRAM = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
_HIDDEN = "-1"  # CUDA_VISIBLE_DEVICES that hides all GPUs


def count_gpus() -> int:
    """Number of GPUs that TensorFlow finds in a process with this environment; takes seconds unless they are hidden.

    Raises:
      UserError: TensorFlow does not start.
    """
    if os.environ.get("CUDA_VISIBLE_DEVICES") == _HIDDEN:
        return 0
    command = [sys.executable, "-P", "-c", _PROGRAM]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        got = next(reversed(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        raise UserError(f"TensorFlow must start to count the GPUs, got {got} (pip install -r requirements.txt)")
    return int(done.stdout.split()[-1])
