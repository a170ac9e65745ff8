"""Version of the program's own code, for results that are remade after a change of the program."""

import functools
import hashlib
from pathlib import Path

_CODE = Path(__file__).resolve().parents[2]
_PACKAGES = ("lib", "model", "configs")


@functools.cache
def code_version() -> str:
    """Hash of the program's modules."""
    digest = hashlib.sha256()
    modules = (path for package in _PACKAGES for path in (_CODE / package).rglob("*.py"))
    # Editors leave hidden files beside those that are being edited, such as links to nothing.
    for path in sorted(path for path in modules if not path.name.startswith(".")):
        digest.update(str(path.relative_to(_CODE)).encode() + path.read_bytes())
    return digest.hexdigest()
