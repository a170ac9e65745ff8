"""Check of test mode's output folder."""

from collections.abc import Mapping
from pathlib import Path

from lib.files import own_files
from lib.files.own_files import begins, contains, has_keys, is_png


def _is_list(content: bytes) -> bool:
    return all(b": " in line for line in content.splitlines())


_KINDS: Mapping[str, own_files.IsOwn] = {
    "index.html": contains(b"<title>3D faces from "),
    "summary.csv": begins(b"photo,psnr_coarse,"),
    "summary.json": has_keys("given", "reconstructed", "failed"),
    "failed.txt": _is_list,
    "sheet.png": is_png,
}


def check_replaceable(output: Path) -> None:
    """Raises UserError if a run over photos would replace a file that is not of an earlier run."""
    own_files.check_replaceable(output, _KINDS)
