"""Import of TensorFlow without its start-up notes, which no setting silences; warnings and errors still appear."""

import os
import re
import sys
import tempfile

# Informational notes, their headline, and the failure to open a CUDA driver that is not installed (303).
_NOISE = re.compile(r"I0000 |WARNING: All log messages before absl::InitializeLog|.*failed call to cuInit: .*\(303\)")


def import_tensorflow() -> None:
    """Imports TensorFlow and looks for graphics cards; of what it prints meanwhile only warnings and errors are shown.

    TensorFlow writes to the file descriptor, past `sys.stderr`, and before its log level is read.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices("GPU")
        finally:
            os.dup2(original, 2)
            os.close(original)
            captured.seek(0)
            for line in captured.read().decode(errors="replace").splitlines():
                if not _NOISE.match(line):
                    print(line, file=sys.stderr)
