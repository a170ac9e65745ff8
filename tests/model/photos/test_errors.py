"""The barrier around one photo: every fault is named, and only interruptions and a full disk end the run."""

import errno
import tokenize
from pathlib import Path

import cv2
import pytest
import tensorflow as tf

from lib.errors import DiskFull, UserError
from model.photos.errors import failure_reason, photo_barrier

FAULTS = (
    UserError("a.jpg: must be b, got c"),
    ValueError("shape"),
    KeyError("missing"),
    TypeError("unpack"),
    AssertionError(),
    RecursionError("deep"),
    MemoryError(),
    tokenize.TokenError("EOF"),
    cv2.error("resize"),
    tf.errors.InvalidArgumentError(None, None, "rank"),
    PermissionError(errno.EACCES, "Permission denied"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_the_photos_after_a_fault_go_on(fault):
    failed, done = {}, []
    for name in ("a", "b", "c"):
        with photo_barrier(lambda error, name=name: failed.update({name: failure_reason(Path(f"{name}.jpg"), error)})):
            if name == "b":
                raise fault
            done.append(name)
    assert done == ["a", "c"]
    assert list(failed) == ["b"]
    assert failed["b"]
    assert "\n" not in failed["b"]


@pytest.mark.parametrize(
    "stop",
    [KeyboardInterrupt(), SystemExit(1), DiskFull("x"), OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota")],
)
def test_what_no_photo_would_escape_ends_the_run(stop):
    with pytest.raises(type(stop)), photo_barrier(lambda _: pytest.fail("it is not the photo's fault")):
        raise stop


def test_the_photos_name_is_not_repeated_and_surprises_are_located():
    path = Path("in/a.jpg")
    assert failure_reason(path, UserError("in/a.jpg: must be b,\n got c")) == "must be b, got c"
    assert failure_reason(path, UserError("a.jpg: x")) == "x"
    with pytest.raises(KeyError) as caught:
        {}["x"]
    assert failure_reason(path, caught.value).startswith("'x' (KeyError at test_errors.py:")
    assert failure_reason(path, AssertionError()) == "AssertionError (AssertionError)"
