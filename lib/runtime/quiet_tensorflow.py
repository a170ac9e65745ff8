"""Import of TensorFlow: with oneDNN, and without start-up messages that cannot be disabled.

Warnings and errors still appear.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# Informational messages, their header, and the error about a CUDA driver that is not installed (303).
_NOISE = re.compile(
    r"I0000 |INFO: Created TensorFlow Lite|WARNING: All log messages before absl::InitializeLog"
    r"|.*failed call to cuInit: .*\(303\)"
)


def import_tensorflow() -> None:
    """Imports TensorFlow and lists GPUs; of the messages printed meanwhile, only warnings and errors are shown."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow enables oneDNN by default only on processors with AVX-512 VNNI or newer instructions. With AVX2 alone,
    # it trains convolutional networks in two thirds of the time; small operations take as long as without.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with without_notes():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")


@contextlib.contextmanager
def without_notes() -> Iterator[None]:
    """Context manager that captures stderr and afterwards prints only the warnings and errors.

    The messages are written directly to the file descriptor, not to `sys.stderr`, before any log level is read.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if not _NOISE.match(line):
                    print(line, file=sys.stderr)
