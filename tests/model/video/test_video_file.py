"""Video files: what is opened as one, and writing, also to a full disk."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.errors import DiskFull, UserError
from model.video.frames import FrameSource
from model.video.video_file import write_video
from tests.support.damage import files_of_at_most

RATE = 10.0


def noise(count, size=64):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (size, size, 3), np.uint8) for _ in range(count)]


def with_pixels(path, ratio, turned):
    """Announces the aspect ratio (width, height) of an MPEG-4 file's pixels; `turned`, also a quarter turn."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"mp4v", content.index(b"stsd")) - 4
    end = entry + struct.unpack_from(">I", content, entry)[0]
    content[end:end] = struct.pack(">I4sII", 16, b"pasp", *ratio)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4v"):
        place = content.rindex(name, 0, end) - 4
        struct.pack_into(">I", content, place, struct.unpack_from(">I", content, place)[0] + 16)
    if turned:
        struct.pack_into(">9i", content, content.index(b"tkhd") + 44, 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("ratio", "turned", "size"),
    [
        ((1, 1), False, (64, 96)),
        ((4, 3), False, (64, 128)),
        ((3, 4), False, (85, 96)),
        ((4, 3), True, (128, 64)),
        ((1, 100), False, (64, 96)),
    ],
)
def test_pixels_become_square(tmp_path, ratio, turned, size):
    """Camcorders store 1440 columns for 1920; the circle of a face must not become an ellipse."""
    write_video(tmp_path / "in.mp4", [np.zeros((64, 96, 3), np.uint8)] * 3, RATE)
    with_pixels(tmp_path / "in.mp4", ratio, turned)
    assert [frame.shape for frame in FrameSource(tmp_path / "in.mp4", 25.0)] == [(*size, 3)] * 3


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile 'other.mp4'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nother.mp4\n#EXT-X-ENDLIST\n",
    "dash": '\ufeff<?xml version="1.0"?>\n<MPD></MPD>',
    "sdp": "v=0\nm=video 5004 RTP/AVP 26\n",
    "sdp without its version": "s=a\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 26\n",
    "dash of a namespace": '<?xml version="1.0"?>\n<!-- a -->\n<d:MPD xmlns:d="urn:mpeg:dash:schema:mpd:2011"/>',
    "behind a tag": "ID3\x03\0\0\0\0\0\0#EXTM3U\n",
}


@pytest.mark.parametrize("content", PLAYLISTS.values(), ids=PLAYLISTS)
@pytest.mark.parametrize("name", ["in.mp4", "in.m3u8"])
def test_a_list_of_other_files_is_no_video(tmp_path, name, content):
    """FFmpeg would open them, whatever they are."""
    write_video(tmp_path / "other.mp4", noise(3), RATE)
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"in\.\w+: must be a video, got a list of other files \(give those"):
        FrameSource(tmp_path / name, 25.0)


OTHERS = {
    "svg": ('<svg xmlns="http://www.w3.org/2000/svg"/>', "XML or HTML"),
    "xml": ("\ufeff<?xml version='1.0'?>\n<a/>", "XML or HTML"),
    "mp3": ("ID3\x03\0\0\0\0\0\0\x7f\x7f", r"a file that begins with an ID3 tag, such as MP3 \(convert a video to"),
}


@pytest.mark.parametrize(("content", "got"), OTHERS.values(), ids=OTHERS)
def test_what_only_begins_as_a_list_is_not_called_one(tmp_path, content, got):
    (tmp_path / "in.mp4").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=rf"in\.mp4: must be a video, got {got}"):
        FrameSource(tmp_path / "in.mp4", 25.0)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "named as one.mp4"])
def test_a_photo_is_no_video(tmp_path, name):
    kind = "png" if name.endswith("mp4") else name[2:]
    Image.fromarray(noise(1)[0]).save(tmp_path / name, kind.replace("jpg", "jpeg"))
    with pytest.raises(UserError, match=r"must be a video or a folder of frames, got a photo \(reconstruct it with"):
        FrameSource(tmp_path / name, 25.0)


def test_moving_pictures_are_a_video(tmp_path):
    first, *others = (Image.fromarray(frame) for frame in noise(3))
    first.save(tmp_path / "a.png", save_all=True, append_images=others)
    assert len(list(FrameSource(tmp_path / "a.png", 25.0))) == 3


def test_a_video_too_slow_to_be_written_is_refused_before_the_work(tmp_path):
    write_video(tmp_path / "in.mp4", noise(3), 0.01)
    content = bytearray((tmp_path / "in.mp4").read_bytes())
    place = content.index(b"mdhd") + 16
    struct.pack_into(">I", content, place, max(struct.unpack_from(">I", content, place)[0] // 10, 1))
    (tmp_path / "in.mp4").write_bytes(content)
    with pytest.raises(UserError, match=r"in\.mp4: must have 0\.01 to 65,535 frames a second, got 0\.000\d+ \(convert"):
        FrameSource(tmp_path / "in.mp4", 25.0)


@pytest.mark.parametrize(("size", "got"), [(2**16, "no whole video"), (16, "File too large")])
def test_a_video_that_does_not_fit_on_the_disk_is_told_and_replaces_nothing(tmp_path, capfd, size, got):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"earlier")
    wanted = rf"out\.mp4: must fit on its disk, got:? {got}"
    with files_of_at_most(size), pytest.raises(DiskFull, match=wanted):
        write_video(path, noise(30, 256), RATE)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"earlier"]
    assert capfd.readouterr().err == ""  # OpenCV would print a line for each frame


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_video_that_fits_has_all_frames(tmp_path, count):
    write_video(tmp_path / "out.mp4", noise(count), RATE)
    assert len(list(FrameSource(tmp_path / "out.mp4", 25.0))) == count


def test_frames_of_odd_size_lose_no_row_and_no_column(tmp_path):
    frame = np.full([61, 81, 3], 40, np.uint8)
    frame[-1], frame[:, -1] = 220, 220
    write_video(tmp_path / "out.mp4", [frame] * 3, RATE)
    read = next(iter(FrameSource(tmp_path / "out.mp4", 25.0)))
    assert read.shape == (62, 82, 3)
    assert read[-2:].min() > 160
    assert read[:, -2:].min() > 160
    assert read[:-6, :-6].max() < 90


@pytest.mark.parametrize("rate", [0.01, 24000 / 1001, 65.5373, 1000 / 14, 240.006, 655.353, 6553.6, 10_000.3, 65_535])
def test_a_video_has_its_rate_however_fast(tmp_path, rate):
    """MPEG-4 stores it as a fraction of 16-bit numbers, and OpenCV has powers of ten below the line."""
    write_video(tmp_path / "out.mp4", noise(3), rate)
    assert FrameSource(tmp_path / "out.mp4", 25.0).frame_rate == pytest.approx(rate, rel=1e-4)


def test_names_may_have_colons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("12:30.mp4")
    write_video(path, noise(3), RATE)
    assert len(list(FrameSource(path, 25.0))) == 3


def test_a_size_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UserError, match="write MPEG-4 of 16385 x 64 pixels at 10 Hz, got a build that cannot"):
        write_video(tmp_path / "out.mp4", [np.zeros([64, 16385, 3], np.uint8)], RATE)
