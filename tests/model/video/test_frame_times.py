"""Times of frames: browsers' recordings without a frame rate, and videos of uneven frames."""

import struct

import cv2
import numpy as np
import pytest

from model.video.frames import FrameSource
from model.video.video_file import write_video

COUNT, RATE = 60, 30.0
# Elements of Matroska: those that hold others, and three of one value.
MASTERS = {0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE}
DEFAULT_DURATION, CLUSTER_TIME, SIMPLE_BLOCK = 0x23E383, 0xE7, 0xA3
EVEN = np.round(1000 * np.arange(COUNT) / RATE).astype(int)


def elements(content, place=0, end=None):
    """(id, place, body, end) of all elements."""

    def number(place, mask):
        length = 9 - content[place].bit_length()
        value = int.from_bytes(content[place : place + length], "big")
        return value & ((1 << 7 * length) - 1 if mask else -1), place + length, (1 << 7 * length) - 1

    while place < (end or len(content)):
        name, after, _ = number(place, mask=False)
        size, body, unknown = number(after, mask=True)
        stop = (end or len(content)) if size == unknown else body + size
        yield name, place, body, stop
        if name in MASTERS:
            yield from elements(content, body, stop)
        place = stop


def write_webm(path, milliseconds, announced=True):
    """A video of noise whose frames have these times; without a frame rate if it is not announced."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), RATE, (64, 64))
    random = np.random.default_rng(0)
    for _ in milliseconds:
        writer.write(random.integers(0, 256, (64, 64, 3), np.uint8))
    writer.release()
    content, number, cluster = bytearray(path.read_bytes()), 0, 0
    for name, place, body, end in list(elements(content)):
        if name == DEFAULT_DURATION and not announced:
            content[place:end] = bytes([0xEC, 0x80 | (end - place - 2)]) + bytes(end - place - 2)  # void
        elif name == CLUSTER_TIME:
            cluster = int.from_bytes(content[body:end], "big")
        elif name == SIMPLE_BLOCK:
            struct.pack_into(">h", content, body + 1, milliseconds[number] - cluster)
            number += 1
    assert number == len(milliseconds)
    path.write_bytes(content)


def test_a_browsers_recording_has_the_rate_of_its_times(tmp_path, capfd):
    """It announces a thousand frames a second, as if its milliseconds were frames."""
    path = tmp_path / "in.webm"
    times = EVEN + np.random.default_rng(1).integers(-8, 9, COUNT)
    times -= times[0]
    write_webm(path, times, announced=False)
    capfd.readouterr()  # OpenCV's choice of a codec
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == 1000
    source = FrameSource(path, 25.0)
    assert source.frame_rate == pytest.approx(RATE, rel=0.02)
    assert len(list(source)) == COUNT
    np.testing.assert_allclose(source.seconds, times / 1000, atol=1e-9)
    said = f"{path}: announces 1000 frames a second, but its frames' times show {source.frame_rate:.4g}\n"
    assert capfd.readouterr().err == said


def write_mp4(path, spacings):
    """A video of noise with these times between its frames, in frames at `RATE`; the last one is the last's length."""
    random = np.random.default_rng(0)
    write_video(path, [random.integers(0, 256, (64, 64, 3), np.uint8) for _ in spacings], RATE)
    content = bytearray(path.read_bytes())
    table = content.index(b"stts") - 4  # of runs of frames: here one, of all
    runs, _, length = struct.unpack_from(">III", content, table + 12)
    assert runs == 1
    entries = b"".join(struct.pack(">II", 1, spacing * length) for spacing in spacings)
    content[table + 16 : table + 24] = entries
    struct.pack_into(">I", content, table + 12, len(spacings))
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts"):
        place = content.rindex(name, 0, table + 8) - 4
        struct.pack_into(">I", content, place, struct.unpack_from(">I", content, place)[0] + len(entries) - 8)
    path.write_bytes(content.replace(b"edts", b"free"))  # it ends the video after its former length


def test_bursts_with_gaps_have_the_announced_mean_rate(tmp_path, capfd):
    """At the rate of the bursts, the overlay would leave out all gaps and last a sixth of the time."""
    path = tmp_path / "in.mp4"
    spacings = ([1] * 11 + [60]) * 10 + [1]
    write_mp4(path, spacings)
    capfd.readouterr()
    source = FrameSource(path, 25.0)
    assert source.frame_rate == pytest.approx(RATE * len(spacings) / sum(spacings))
    assert len(list(source)) == len(spacings)
    np.testing.assert_allclose(np.diff(source.seconds[12:]), np.array(spacings[12:-1]) / RATE, atol=1e-3)
    assert source.seconds[-1] == pytest.approx(sum(spacings[:-1]) / RATE, abs=0.1)
    told = capfd.readouterr().err
    assert told.startswith(f"{path}: its frames are unevenly spaced")
    assert "announces" not in told


def test_even_frames_have_even_times_without_the_rounding_of_the_file(tmp_path, capfd):
    write_webm(tmp_path / "in.webm", EVEN)
    capfd.readouterr()
    source = FrameSource(tmp_path / "in.webm", 25.0)
    assert len(list(source)) == COUNT
    assert source.seconds == [number / RATE for number in range(COUNT)]
    assert capfd.readouterr().err == ""


def test_uneven_frames_have_their_own_times_and_the_drift_is_told(tmp_path, capfd):
    """Half of them come slower than announced and half faster, so that the last one is in time."""
    path = tmp_path / "in.webm"
    spacings = np.array([40] * (COUNT // 2) + [27] * (COUNT // 2 - 1))
    times = np.concatenate([[0], np.cumsum(spacings)])
    write_webm(path, times)
    capfd.readouterr()
    source = FrameSource(path, 25.0)
    assert len(list(source)) == COUNT
    assert source.frame_rate == RATE
    np.testing.assert_allclose(source.seconds, times / 1000, atol=0.5 / RATE)
    np.testing.assert_allclose(source.seconds[4:], times[4:] / 1000, atol=1e-9)
    told = "its frames are unevenly spaced, so that they are up to 0.2 s off in overlay.mp4, which has 30 a second"
    assert capfd.readouterr().err == f"{path}: {told}\n"


def test_times_that_go_back_are_not_believed(tmp_path):
    """As in two recordings that were joined."""
    times = np.concatenate([EVEN[:45] * 2, EVEN[:15] * 2])
    write_webm(tmp_path / "in.webm", times)
    source = FrameSource(tmp_path / "in.webm", 25.0)
    assert source.frame_rate == RATE
    assert len(list(source)) == COUNT
    assert (np.diff(source.seconds) > 0).all()
    np.testing.assert_allclose(np.diff(source.seconds[45:]), 1 / RATE)
