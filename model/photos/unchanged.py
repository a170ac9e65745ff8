"""Files that are read several times during a run, and must stay as they are meanwhile."""

from pathlib import Path

from lib.errors import UserError


class UnchangedFiles:
    """Keeps size and time of each file from its first check on."""

    def __init__(self) -> None:
        self._marks: dict[Path, tuple[int, int]] = {}

    def check(self, path: Path) -> None:
        """Call it before each reading of a file; raises UserError if the file is not what it was before."""
        try:
            found = path.stat()
        except OSError:
            return  # whoever reads it says why that fails
        mark = found.st_size, found.st_mtime_ns
        if self._marks.setdefault(path, mark) != mark:
            raise UserError(f"{path}: must stay as it is during the run, got it replaced (run the same command again)")
