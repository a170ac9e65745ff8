"""One file of a parser under atheris, in a process of its own.

python -m benchmarks.soak.guided_fuzzing READER NUMBER FOLDER SEED

Only what is imported after atheris is instrumented, so that this module imports nothing of the program at its top.
"""

import sys
import warnings
from pathlib import Path

MORE = 512  # bytes by which contents may exceed the whole file


def main(name: str, number: str, folder: str, seed: str) -> None:
    """Fuzzes a file of a parser until its time is over; the process ends with atheris' exit code."""
    import atheris

    with atheris.instrument_imports(include=["lib", "configs", "zipfile", "yaml"]):
        from benchmarks.soak.fuzzing import ATHERIS_SECONDS, COUNT, LARGEST, check, targets_of
        from benchmarks.soak.readers import READERS
    reader = next(reader for reader in READERS if reader.name == name)
    work, corpus = Path(folder) / "work", Path(folder) / "corpus"
    for path in (work, corpus):
        path.mkdir()
    reader.make(work)
    targets = [path for path in targets_of(reader, work) if path.stat().st_size <= LARGEST]
    (Path(folder) / COUNT).write_text(str(len(targets)))
    target = targets[int(number)]
    whole = target.read_bytes()
    (corpus / "whole").write_bytes(whole)
    reader.read(work)
    warnings.simplefilter("ignore")
    options = (
        f"-max_total_time={ATHERIS_SECONDS}",
        f"-seed={seed}",
        "-timeout=60",
        f"-max_len={len(whole) + MORE}",  # a shorter one would cut the whole file
        f"-artifact_prefix={folder}/",
        "-verbosity=0",
    )
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda content: check(reader, work, target, content))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
