"""Image formats by suffix and by content: which files of a folder are photos, and which of them can be read."""

import functools
import importlib.util
from pathlib import Path

from PIL import TiffImagePlugin

# Read by Pillow.
READ = (
    ".apng", ".avif", ".avifs", ".bmp", ".dib", ".gif", ".j2c", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpf",
    ".jpg", ".jpx", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp",
)  # fmt: skip
# Read with the package pillow-heif.
HEIF = (".heic", ".heics", ".heif", ".heifs", ".hif")
# Pillow's names of these formats, the only ones that it may try: for PostScript, whatever its file is called, it would
# start Ghostscript. JPEG stands for MPO, too. TGA, known by nothing but plausible numbers, comes last.
_PILLOW = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "JPEG2000", "GIF", "BMP", "DIB", "PPM", "TGA")
# Photos, but not read. Pillow would take a raw file for a TIFF and read the thumbnail.
RAW = (
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf",
    ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
)  # fmt: skip
OTHERS = (
    ".cur", ".dcx", ".dds", ".emf", ".eps", ".exr", ".hdr", ".icns", ".ico", ".im", ".jxl", ".jxr", ".pcx", ".pdf",
    ".ps", ".psb", ".psd", ".rgb", ".sgi", ".svg", ".wdp", ".wmf", ".xcf", ".xpm",
)  # fmt: skip
# No photos, but given in place of one.
VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")
# First bytes of files that are photos whatever their names.
MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ",
    b"\0\0\0\x0cJXL ", b"\xff\x4f\xff\x51", b"\xff\x0a",
)  # fmt: skip
_FLOAT = 3  # among a TIFF's formats of numbers
# Bytes 4 to 7 of HEIF and AVIF, followed by the brand, a version, and up to the size of this box other brands that fit.
_BOX, _OTHER_BRANDS, _START = b"ftyp", 16, 256
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


def is_photo(path: Path) -> bool:
    """True if a file is a photo by its suffix, or by its content if the suffix is another or missing."""
    suffix = path.suffix.lower()
    if suffix in READ + HEIF + RAW + OTHERS:
        return True
    start = _start(path)
    webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    return start.startswith(MAGIC) or webp or not _brands(start).isdisjoint(HEIF_BRANDS + AVIF_BRANDS)


def is_heif(path: Path) -> bool:
    """True if a file is HEIF (.heic), by its content; AVIF may have the brand of HEIF's container before its own."""
    brands = _brands(_start(path))
    return not brands.isdisjoint(HEIF_BRANDS) and brands.isdisjoint(AVIF_BRANDS)


def pillow_formats() -> tuple[str, ...]:
    """The formats that Pillow may recognise in a photo."""
    return ("HEIF", *_PILLOW) if register_heif() else _PILLOW


def fault(path: Path) -> str | None:
    """Reason why a photo's format cannot be read; None if it can."""
    suffix = path.suffix.lower()
    if suffix in RAW:
        return f"a camera's raw file ({suffix}; export it as JPEG or TIFF)"
    if suffix in OTHERS:
        return f"a {suffix} file (convert it to JPEG or PNG)"
    if suffix in VIDEOS:
        return "a video (--mode test takes it with --video)"
    if is_heif(path) and not register_heif():
        return "HEIC, which needs another package (pip install -r requirements-heic.txt, or convert it to JPEG)"
    return None


def is_float_tiff(path: Path) -> bool:
    """True if a file is a TIFF of floating-point numbers, which Pillow does not recognise if it has colours."""
    try:
        with open(path, "rb") as stream:
            directory = TiffImagePlugin.ImageFileDirectory_v2(stream.read(8))
            stream.seek(directory.next)
            directory.load(stream)
            return _FLOAT in directory.get(TiffImagePlugin.SAMPLEFORMAT, ())
    except Exception:  # of any kind, for what is no TIFF
        return False


@functools.cache
def register_heif() -> bool:
    """Adds HEIF to Pillow's formats if the package pillow-heif is installed; returns whether it is."""
    if importlib.util.find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.register_heif_opener()
    return True


def _start(path: Path) -> bytes:
    """The first bytes of a file; empty for folders, devices and files that cannot be read."""
    if not path.is_file():
        return b""
    try:
        with open(path, "rb") as stream:
            return stream.read(_START)
    except OSError:
        return b""


def _brands(start: bytes) -> set[bytes]:
    """The brands of a HEIF or AVIF file, from its first bytes; none of other files."""
    if start[4:8] != _BOX:
        return set()
    size = min(int.from_bytes(start[:4]), len(start))
    return {start[8:12], *(start[place : place + 4] for place in range(_OTHER_BRANDS, size - 3, 4))}
