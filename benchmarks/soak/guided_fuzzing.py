"""One parser under atheris, in a process of its own: python -m benchmarks.soak.guided_fuzzing READER FOLDER SEED.

Only what is imported after atheris is instrumented, so that this module imports nothing of the program at its top.
"""

import sys
import warnings
from pathlib import Path


def main(name: str, folder: str, seed: str) -> None:
    """Fuzzes a parser until its time is over; the process ends with atheris' exit code."""
    import atheris

    with atheris.instrument_imports(include=["lib", "configs", "zipfile", "yaml"]):
        from benchmarks.soak.fuzzing import ATHERIS_SECONDS, check, content_of
        from benchmarks.soak.readers import READERS
    reader = next(reader for reader in READERS if reader.name == name)
    work, corpus = Path(folder) / "work", Path(folder) / "corpus"
    for path in (work, corpus):
        path.mkdir()
    reader.make(work)
    (corpus / "whole").write_bytes(content_of(reader, work))
    reader.read(work)
    warnings.simplefilter("ignore")
    options = (
        f"-max_total_time={ATHERIS_SECONDS}",
        f"-seed={seed}",
        "-timeout=60",
        "-max_len=8192",
        f"-artifact_prefix={folder}/",
        "-verbosity=0",
    )
    atheris.Setup([sys.argv[0], *options, str(corpus)], lambda content: check(reader, work, content))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
