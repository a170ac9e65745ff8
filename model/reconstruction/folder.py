"""Test mode on a folder of photos, on all processor cores; a photo that fails does not stop the others.

This module does not import TensorFlow: the processes that do the work import it (`model.reconstruction.worker`).
"""

import contextlib
import dataclasses
import glob
import itertools
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from configs import schema
from lib.errors import GivenUp, UserError
from lib.face_image.photo_io import input_photos, result_names
from lib.files.file_names import printable
from lib.runtime.collection import paused_collection
from lib.runtime.determinism import use_one_thread
from lib.runtime.resources import affordable
from lib.runtime.worker_pool import Outcome, run_in_processes
from lib.sidecar.sidecar_files import report_sidecars, sidecar_files
from model.photos.in_hand import PhotosInHand
from model.reconstruction.files import remove_results
from model.reconstruction.result_folder import RUN_FILES, Job, PhotoOutcome, ResultFolder, shown_name

# Photos per worker process: starting one takes as long as about two photos, on a core that would otherwise be idle.
PHOTOS_PER_PROCESS = 2
# Peak of a process with the default configuration: photos of 12 megapixels, textures of 1,024 texels.
PROCESS_BYTES = 3 * 2**29
# Name of the notes about photos that kill their processes, in the output folder.
IN_HAND = ".photos-in-hand"
_KILLED = "the process that worked on it was killed (too little memory? use fewer --workers)"


def reconstruct_folder(config: schema.Config, source: Path, output: Path) -> dict[str, str]:
    """Reconstructs the photos of a folder with the run's best texture network.

    Renderings, landmarks, meshes, coefficients and metrics of a photo go to `<output>/<path below source>/<name>/`;
    with prepare.faces=all, those of each face to a folder face_0, face_1, ... in it, the largest face first. `output`
    also receives index.html, a page that shows all results, summary.csv, summary.json, failed.txt and sheet.png.

    The results do not depend on the number of processes, because each uses one thread; except with a GPU, which only a
    single process uses, and which rounds differently.

    Args:
      config: the effective configuration.
      source: folder of photos, with or without sub-folders, or one photo.
      output: folder for the results.

    Returns:
      Photos that could not be reconstructed: name -> reason.

    Raises:
      UserError: there is no photo or no trained network, all photos failed, or processes are killed again and again.
    """
    output = Path(output)
    source, jobs = find_jobs(source, output)
    results, notes = ResultFolder(source, output), PhotosInHand(output / IN_HAND)
    notes.keep_only({job.folder for job in jobs})
    with (
        results.reported_at_the_end(len(jobs)),
        contextlib.closing(reconstruct_photos(config, output, jobs, lambda _: results.wants_rows, notes)) as outcomes,
    ):
        for job, outcome in outcomes:
            results.add_photo(job, outcome)
    return results.failed


def find_jobs(source: Path, output: Path) -> tuple[Path, list[Job]]:
    """Lists the photos of an input, and the folder they are named from.

    Raises:
      UserError: there are none, or the run would replace one.
    """
    source, paths = input_photos(source, skip=output)
    for path in paths:
        if path.name in RUN_FILES and path.resolve().parent == output.resolve():
            raise UserError(f"{path}: must not lie where the run writes its {path.name} (choose another --output)")
    names = result_names(paths, source, taken=RUN_FILES)
    sidecars = sidecar_files(paths)
    jobs = [
        Job(number, path, shown_name(path, source), names[path], True, sidecars[path])
        for number, path in enumerate(paths)
    ]
    return source, jobs


def reconstruct_photos(
    config: schema.Config,
    output: Path,
    jobs: Sequence[Job],
    wants_row: Callable[[Job], bool],
    notes: PhotosInHand,
) -> Generator[tuple[Job, PhotoOutcome], None, None]:
    """Reconstructs photos and writes their folders; yields each as it is done, in any order.

    Photos at which a process was killed, also that of an earlier run, come last and not in this process: they must not
    end the others.

    Args:
      config: the effective configuration.
      output: folder for the results.
      jobs: the photos; `row` is set anew.
      wants_row: whether a photo's row of sheet.png may be needed; asked when its turn comes.
      notes: of the photos that kill their processes.
    """
    if config.prepare.beside:
        report_sidecars({job.path: job.sidecars for job in jobs})
    killers = [job for job in jobs if notes.has_killed(job.folder, job.path)]
    for job in killers:
        print(f"{job.shown}: a process was killed at it in an earlier run; it comes last", file=sys.stderr)
    last = {job.number for job in killers}
    others = [job for job in jobs if job.number not in last]
    processes = process_count(config, len(others))
    _announce_first_run(config)
    # Its errors need no progress bar. Killers get another one, in a process of its own: memory may be short.
    here = [make_worker(config, output)] if processes == 1 and others else []
    wanted = (dataclasses.replace(job, row=wants_row(job)) for job in others)
    with (
        tqdm(total=len(jobs), desc="reconstruct", unit="photo", dynamic_ncols=True) as bar,
        contextlib.closing(
            _one_by_one(wanted, here, notes, bar)
            if processes == 1
            else run_in_processes(wanted, make_worker, (config, output), processes)
        ) as first,
        contextlib.closing(_killers(config, output, killers)) as then,
    ):
        outcomes = itertools.chain(first, then)
        for done in outcomes:
            bar.set_postfix_str(printable(done.job.path.name), refresh=False)
            bar.update()
            if done.result is None:  # what the process has left is half-written, or an earlier run's
                remove_results(output / done.job.folder)
                notes.add(done.job.folder, done.job.path)
            else:
                notes.remove(done.job.folder)
            yield done.job, done.result or PhotoOutcome(None, failed=[(None, _KILLED)], lost=True)


def _announce_first_run(config: schema.Config) -> None:
    """Says why the progress bar stands still, if the cache can be written and lacks a face model that it would hold."""
    source, cache = config.face_model.source, config.generated_dir
    stem = {"human-head": f"human_head_{config.face_model.area}", "built-in": "face"}.get(source)
    if stem is None and Path(source).suffix == ".npz":  # it need not be converted, so nothing tells its first run
        return
    pattern = f"{stem}_[0-9]*.npz" if stem else f"{glob.escape(Path(source).stem)}-*.npz"
    folder = next(path for path in (cache, *cache.absolute().parents) if path.exists())
    if not any(cache.glob(pattern)) and os.access(folder, os.W_OK | os.X_OK):
        print(f"first run: prepares the face model, which takes a minute or more, and keeps it in {cache}")


def _one_by_one(
    jobs: Iterator[Job], functions: list[Callable[[Job], PhotoOutcome]], notes: PhotosInHand, bar: tqdm
) -> Generator[Outcome[Job, PhotoOutcome], None, None]:
    """Does the jobs in this process, with the only one of the functions, which is dropped after the last job."""
    for job in jobs:
        bar.set_postfix_str(printable(job.path.name))
        with notes.held(job.folder, job.path):
            result = functions[0](job)
        yield Outcome(job, result)
    functions.clear()


def _killers(
    config: schema.Config, output: Path, jobs: Sequence[Job]
) -> Generator[Outcome[Job, PhotoOutcome], None, None]:
    """Does jobs that have killed a process, in others."""
    if not jobs:
        return
    rest = {job.number: dataclasses.replace(job, row=True) for job in jobs}
    alone = run_in_processes(list(rest.values()), make_worker, (config, output), 1)
    with contextlib.suppress(GivenUp), contextlib.closing(alone) as outcomes:  # all others are done
        for outcome in outcomes:
            del rest[outcome.job.number]
            yield outcome
    for job in rest.values():
        yield Outcome(job, None, killed=True)


def process_count(config: schema.Config, photos: int) -> int:
    """Number of processes for a folder of photos."""
    return max(min(most_processes(config), photos // PHOTOS_PER_PROCESS), 1)


def most_processes(config: schema.Config) -> int:
    """data.workers, or as many processes as there are cores if memory suffices."""
    return config.data.workers or affordable(config.workers, PROCESS_BYTES)


def make_worker(config: schema.Config, output: Path) -> Callable[[Job], PhotoOutcome]:
    """Starts TensorFlow in this process and creates the function that reconstructs one photo."""
    use_one_thread()
    from lib.runtime.quiet_tensorflow import import_tensorflow

    with paused_collection():
        import_tensorflow()
        from model.reconstruction.worker import Worker
        from utils import seed_everything

        seed_everything(config.train.seed)
        return Worker(config, output)
