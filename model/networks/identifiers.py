"""Identifiers of what a checkpoint or weight file belongs to, compared with those of the configuration."""

import re
from collections.abc import Collection, Iterator, Mapping

# Which vertices the mesh levels keep. They differ from what the factors give only if the files in the data set's folder
# do, because files of weights bring their levels.
LEVELS = "vertices of the mesh levels"


def differing(
    stored: Mapping[str, str], wanted: Mapping[str, str], added: Collection[str]
) -> Iterator[tuple[str, str, str | None]]:
    """Name, wanted and stored value of each identifier that differs.

    Args:
      stored: those of the file.
      wanted: those of the configuration, see `Pipeline.signature`.
      added: names of those that may be missing in an earlier version's file.
    """
    for key, value in wanted.items():
        found = stored.get(key)
        if _present(key, found) != value and not (found is None and key in added):
            yield key, value, found


def _present(key: str, value: str | None) -> str | None:
    """An identifier as the present version writes it: earlier ones named texture.nz where it has no effect, too."""
    if key != "texture network" or not isinstance(value, str) or value.startswith("normal/"):
        return value
    return re.sub(r"/nz\d+", "/nz64", value)
