"""Small files that parsers once stumbled over, or easily could: each is read, or refused by name in one line.

tests/corpus/<kind>/ holds them; the kinds are the names in `benchmarks.soak.readers.READERS`, spaces as underscores.
Add whatever a soak finds.
"""

from pathlib import Path

import pytest

from benchmarks.soak.fuzzing import check, targets_of
from benchmarks.soak.readers import READERS

CORPUS = Path(__file__).parents[1] / "corpus"
BY_FOLDER = {reader.name.replace(" ", "_"): reader for reader in READERS}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The whole files of a kind, made once."""
    made = {}

    def folder(kind):
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            BY_FOLDER[kind].make(made[kind])
        return made[kind]

    return folder


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_file_of_the_corpus_ends_well(path, whole):
    reader, folder = BY_FOLDER[path.parent.name], whole(path.parent.name)
    check(reader, folder, targets_of(reader, folder)[0], path.read_bytes())
