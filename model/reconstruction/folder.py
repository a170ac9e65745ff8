"""Test mode on a folder of photos, on all processor cores; a photo that fails does not stop the others.

This module does not import TensorFlow: the processes that do the work import it (`model.reconstruction.worker`).
"""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from configs import schema
from lib.errors import UserError
from lib.face_image.photo_io import input_photos, result_names
from lib.files.file_names import printable
from lib.runtime.collection import paused_collection
from lib.runtime.determinism import use_one_thread
from lib.runtime.resources import affordable
from lib.runtime.worker_pool import Outcome, run_in_processes
from lib.sidecar.sidecar_files import report_sidecars, sidecar_files
from model.reconstruction.files import remove_results
from model.reconstruction.result_folder import RUN_FILES, Job, PhotoOutcome, ResultFolder, shown_name

# Photos per worker process: starting one takes as long as about two photos, on a core that would otherwise be idle.
PHOTOS_PER_PROCESS = 2
# Peak of a process with the default configuration: photos of 12 megapixels, textures of 1,024 texels.
PROCESS_BYTES = 3 * 2**29
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
    results = ResultFolder(source, output)
    with (
        results.reported_at_the_end(len(jobs)),
        contextlib.closing(reconstruct_photos(config, output, jobs, lambda _: results.wants_rows)) as outcomes,
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
    config: schema.Config, output: Path, jobs: Sequence[Job], wants_row: Callable[[Job], bool]
) -> Generator[tuple[Job, PhotoOutcome], None, None]:
    """Reconstructs photos and writes their folders; yields each as it is done, in any order.

    Args:
      config: the effective configuration.
      output: folder for the results.
      jobs: the photos; `row` is set anew.
      wants_row: whether a photo's row of sheet.png may be needed; asked when its turn comes.
    """
    if config.prepare.beside:
        report_sidecars({job.path: job.sidecars for job in jobs})
    count = process_count(config, len(jobs))
    function = make_worker(config, output) if count == 1 else None
    wanted = (dataclasses.replace(job, row=wants_row(job)) for job in jobs)
    with (
        tqdm(total=len(jobs), desc="reconstruct", unit="photo", dynamic_ncols=True) as bar,
        contextlib.closing(
            run_in_processes(wanted, make_worker, (config, output), count)
            if function is None
            else _one_by_one(wanted, function, bar)
        ) as outcomes,
    ):
        for done in outcomes:
            bar.set_postfix_str(printable(done.job.path.name), refresh=False)
            bar.update()
            if done.result is None:  # what the process has left is half-written, or an earlier run's
                remove_results(output / done.job.folder)
            yield done.job, done.result or PhotoOutcome(None, failed=[(None, _KILLED)], lost=True)


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


def _one_by_one(
    jobs: Iterator[Job], function: Callable[[Job], PhotoOutcome], bar: tqdm
) -> Generator[Outcome[Job, PhotoOutcome], None, None]:
    """Does the jobs in this process, and shows which one is in progress."""
    for job in jobs:
        bar.set_postfix_str(printable(job.path.name))
        yield Outcome(job, function(job))
