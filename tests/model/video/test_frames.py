"""Frames of videos and folders: damaged, cut off and announced wrongly."""

import itertools
import os
import struct

import cv2
import numpy as np
import pytest

from lib.errors import UserError
from model.video import frames as video_frames
from model.video.frames import FrameSource
from model.video.video_file import write_video
from tests.support.photo_corpus import portrait

RATE = 10.0


def noise(count, size=64):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count)]


def write_clip(path, frames, rate=RATE):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 64))
    for frame in frames:
        writer.write(frame)
    writer.release()


@pytest.fixture
def avi(tmp_path):
    """An AVI of 40 frames, which FFmpeg reads without an index at its end."""
    write_clip(tmp_path / "in.avi", noise(40))
    return tmp_path / "in.avi"


def announce(path, frames=None, rate=None):
    """Overwrites the number of frames and the frame rate in an AVI's header."""
    content = bytearray(path.read_bytes())
    whole, stream = content.index(b"avih") + 8, content.index(b"strh") + 8
    if frames is not None:
        struct.pack_into("<I", content, whole + 16, frames)
        struct.pack_into("<I", content, stream + 32, frames)
    if rate is not None:
        struct.pack_into("<II", content, stream + 20, 1, rate)
    path.write_bytes(content)


def test_a_whole_video_is_read_without_remarks(avi, capfd):
    assert len(list(FrameSource(avi, 25.0))) == 40
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_a_whole_video_of_few_frames_is_not_called_cut_off(tmp_path, suffix, rate, capfd):
    path = tmp_path / f"in{suffix}"
    write_clip(path, noise(5), rate)
    capfd.readouterr()  # OpenCV's choice of a codec
    assert len(list(FrameSource(path, 25.0))) == 5
    assert capfd.readouterr().err == ""


def test_a_video_that_was_cut_off_is_reported_once(avi, capfd):
    content = avi.read_bytes()
    avi.write_bytes(content[: len(content) // 2])
    source = FrameSource(avi, 25.0)
    count = len(list(source))
    assert 10 < count < 30
    assert len(list(source)) == count
    reported = f"{avi}: cut off or damaged: its frames end after "
    assert capfd.readouterr().err.count(reported) == 1


def change_chunks(path, numbers, change):
    """Calls `change(content, place, size)` for frames of an AVI, which start with `00dc` and their size."""
    content = bytearray(path.read_bytes())
    place, number = content.index(b"movi") + 4, 0
    while content[place : place + 4] == b"00dc":
        size = struct.unpack_from("<I", content, place + 4)[0]
        if number in numbers:
            change(content, place, size)
        place, number = place + 8 + size + size % 2, number + 1
    path.write_bytes(content)


def undecodable(content, place, size):
    content[place + 8 : place + 8 + size] = b"\xff" * size


def emptied(content, place, size):
    content[place + 4 : place + 8] = bytes(4)


def without_name(content, place, size):
    content[place : place + 4] = bytes(4)


@pytest.mark.parametrize("change", [undecodable, emptied])
@pytest.mark.parametrize("numbers", [(10,), (0, 1), (7, 8, 9, 20)])
def test_damaged_frames_of_an_avi_leave_later_ones_their_time(avi, change, numbers, capfd):
    whole = list(FrameSource(avi, 25.0))
    change_chunks(avi, numbers, change)
    read = list(FrameSource(avi, 25.0))
    assert [number for number, frame in enumerate(read) if frame is None] == list(numbers)
    for number in set(range(40)) - set(numbers):
        np.testing.assert_array_equal(read[number], whole[number])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("numbers", "count"), [((4, 5), 40), ((4, 5, 6), 4)])
def test_a_gap_beyond_all_reason_ends_the_video(avi, monkeypatch, numbers, count):
    monkeypatch.setattr(video_frames, "MOST_DAMAGED", 2)
    change_chunks(avi, numbers, emptied)
    assert len(list(FrameSource(avi, 25.0))) == count


def test_frames_that_an_avi_no_longer_names_are_told(avi, capfd):
    change_chunks(avi, (7, 8, 20), without_name)
    assert len(list(FrameSource(avi, 25.0))) == 37
    assert capfd.readouterr().err == f"{avi}: cut off or damaged: its frames end after 3.6 of 4.0 s\n"


def test_gaps_between_the_frames_of_other_videos_are_told_once(tmp_path, capfd):
    path = tmp_path / "in.mkv"
    write_clip(path, noise(40))
    whole = path.read_bytes()
    middle, length = len(whole) // 2, len(whole) // 8
    path.write_bytes(whole[:middle] + bytes(length) + whole[middle + length :])
    source = FrameSource(path, 25.0)
    missing = 40 - len(list(source))
    assert missing > 1
    list(source)
    told = f"{path}: {missing} frames are missing between the others, damaged or never recorded, so that later ones are"
    assert capfd.readouterr().err == f"{told} up to {missing / RATE:.1f} s early in overlay.mp4\n"


def test_a_video_that_is_replaced_meanwhile_is_told(avi):
    """Also by one of as many frames."""
    source, content = FrameSource(avi, 25.0), avi.read_bytes()
    assert len(list(source)) == 40
    time = avi.stat().st_mtime_ns
    avi.write_bytes(content[::-1])
    os.utime(avi, ns=(time, time + 1_000_000))
    with pytest.raises(UserError, match=r"in\.avi: must stay as it is during the run, got it replaced \(run the same"):
        list(source)
    avi.unlink()
    with pytest.raises(UserError, match=r"in\.avi: must be a video file or a folder of frames, got no such file"):
        list(source)
    avi.write_bytes(content)
    os.utime(avi, ns=(time, time))
    assert len(list(source)) == 40


def test_a_frame_that_is_replaced_meanwhile_is_told(tmp_path):
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros([8, 8, 3], np.uint8))
    source = FrameSource(tmp_path, 25.0)
    assert len(list(source)) == 2
    cv2.imwrite(str(tmp_path / "1.png"), noise(1, 8)[0])
    with pytest.raises(UserError, match=r"1\.png: must stay as it is during the run, got it replaced"):
        list(source)


def test_a_video_that_is_decoded_otherwise_is_told(avi, monkeypatch):
    source, frames = FrameSource(avi, 25.0), noise(3)
    assert len(list(source)) == 40
    for count, got in ((30, "no frame as frame 30, a readable"), (50, "a readable frame as frame 40, no")):
        monkeypatch.setattr(FrameSource, "_video", lambda self, count=count: iter([(frames[0], 0.0)] * count))
        with pytest.raises(UserError, match=f"in.avi: must stay as it is during the run, got {got} frame before"):
            list(source)


def test_frames_of_a_folder_are_ordered_by_their_numbers(tmp_path):
    for number in range(1, 13):
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), np.full([8, 8, 3], number, np.uint8))
    assert [frame[0, 0, 0] for frame in FrameSource(tmp_path, 25.0)] == list(range(1, 13))


def test_a_header_that_announces_billions_of_frames_keeps_nobody_waiting(avi, capfd, monkeypatch):
    announce(avi, frames=2**31 - 1)
    reads, opened = itertools.count(), cv2.VideoCapture

    class Counting:
        def __init__(self, path):
            self.isOpened, self.get, self.release = (capture := opened(path)).isOpened, capture.get, capture.release
            self._read = capture.read

        def read(self):
            if next(reads) > 100_000:
                pytest.fail("it reads as many frames as the header announces")
            return self._read()

    monkeypatch.setattr(cv2, "VideoCapture", Counting)
    assert len(list(FrameSource(avi, 25.0))) == 40
    assert "its frames end after 3.9 of 214,748,364.7 s" in capfd.readouterr().err


def test_a_frame_rate_that_no_video_has_is_refused_before_the_work(avi):
    announce(avi, rate=90_000)
    with pytest.raises(UserError, match=r"in\.avi: must have 0\.01 to 65,535 frames a second, got 90,000 \(convert"):
        FrameSource(avi, 25.0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "in.mp4")
    with pytest.raises(UserError, match=r"in\.mp4: must be a video file or a folder of frames, got a device or a pipe"):
        FrameSource(tmp_path / "in.mp4", 25.0)


def test_damaged_frames_keep_their_place(tmp_path):
    frames = [np.roll(portrait(), 6 * index, axis=1) for index in range(24)]
    write_video(tmp_path / "in.mp4", frames, 25.0)
    data = bytearray((tmp_path / "in.mp4").read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 4] = bytes(len(data) // 4)
    (tmp_path / "in.mp4").write_bytes(data)
    found = list(FrameSource(tmp_path / "in.mp4", 1.0))
    damaged = [index for index, frame in enumerate(found) if frame is None]
    assert len(found) == 24
    assert damaged
    assert 6 < damaged[0] <= damaged[-1] < 20
    assert np.abs(found[5].astype(float) - frames[5]).mean() < 8
    assert found[23] is not None


def test_an_unreadable_image_among_frames_is_damaged_and_named_once(tmp_path, capsys):
    for index in range(5):
        portrait().save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    (tmp_path / "4.png").write_bytes(b"no image")
    source = FrameSource(tmp_path, 25.0)
    (tmp_path / "2.png").unlink()
    for _ in range(2):
        assert [frame is None for frame in source] == [False, True, True, False]
    said = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in said] == [str(tmp_path / f"{number}.png") for number in (1, 2, 4)]
    assert all(line.endswith("; the frame counts as damaged") for line in said)
    for number in range(20):
        (tmp_path / f"x{number}.png").write_bytes(b"no image")
    list(FrameSource(tmp_path, 25.0))
    assert len(capsys.readouterr().err.splitlines()) == 10


def test_frames_of_several_sizes_are_refused_before_any_work(tmp_path):
    for index in range(3):
        portrait().save(tmp_path / f"{index}.png")
    (tmp_path / "0.png").write_bytes(b"no image")
    portrait().crop((0, 0, 300, 200)).save(tmp_path / "2.png")
    with pytest.raises(UserError, match=r"2\.png: the frames must have one size, 300 x 300 as 1\.png, got 300 x 200"):
        FrameSource(tmp_path, 25.0)
