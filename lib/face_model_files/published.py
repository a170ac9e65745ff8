"""Loading of face models from their publishers' files; converted once and cached."""

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from lib.errors import UserError
from lib.face_model.face_model import FaceModel
from lib.face_model.own_model import check_own_model
from lib.face_model_files.arkit import prior_of_names
from lib.face_model_files.formats.basel2009 import DEVIATIONS, PAIRS, is_basel_2009, load_basel_2009
from lib.face_model_files.formats.flame import find_flame, load_flame
from lib.face_model_files.formats.gnm import find_gnm, gnm_tables, load_gnm
from lib.face_model_files.formats.ict import INDICES, is_ict, load_ict
from lib.face_model_files.formats.ict import NAME as ICT
from lib.face_model_files.formats.ict import STRENGTH as ICT_STRENGTH
from lib.face_model_files.formats.statismo import find_statismo, load_statismo
from lib.face_model_files.formats.surrey import MARKS, find_surrey, load_surrey
from lib.face_model_files.formats.template import EXPRESSIONS, IDENTITY, is_template, load_template
from lib.face_model_files.human_head import NAME as HUMAN_HEAD
from lib.face_model_files.landmark_files import FILE as LANDMARKS
from lib.files.folders import visible_files
from lib.human_head.expressions import STRENGTH as HUMAN_HEAD_STRENGTH
from lib.synthetic.builtin.face_generator import METHOD as BUILT_IN_METHOD
from lib.synthetic.builtin.face_generator import load_face_model as load_built_in

# Part of the cache key: increase the number when a change makes the same files give a different model.
METHOD = "published forms, 2"
_SUFFIXES = (".npz", ".h5", ".hdf5", ".mat", ".bin", ".obj")  # of models and their parts, in `_FOLDERS` of a folder
_FOLDERS = ("", IDENTITY, EXPRESSIONS)
_TABLES = (LANDMARKS, MARKS, INDICES, DEVIATIONS, PAIRS)  # texts that belong to a model beside them
# Files of these names without a strength of expressions were saved before files held it.
_EARLIER_STRENGTHS = {HUMAN_HEAD: HUMAN_HEAD_STRENGTH, ICT: ICT_STRENGTH}
_BESIDE = "expression_blendshapes_*.bin"  # binary files that belong to a model beside them


@dataclass(frozen=True)
class Form:
    """A file format in which face models are published.

    Attributes:
      description: name of the model and of its files, for messages.
      recognise: returns whether a path, file or folder, has this format.
      load: reads a path; the second argument gives the built-in model, which supplies missing parts.
      elsewhere: returns the files outside of the path's folder that `load` reads, too.
      own: whether users write parts of the files, such as landmarks, or convert them, so that units may be wrong.
    """

    description: str
    recognise: Callable[[Path], bool]
    load: Callable[[Path, Callable[[], FaceModel]], FaceModel]
    elsewhere: Callable[[Path], Iterable[Path]] = lambda _: ()
    own: bool = True


FORMS = (
    Form(
        "Basel Face Model 2009 (folder with 01_MorphableModel.mat or BFM_model_front.mat)",
        is_basel_2009,
        lambda path, _: load_basel_2009(path),
        own=False,
    ),
    Form(
        "Basel Face Model 2017 or 2019 (.h5, or a folder with one)",
        lambda path: find_statismo(path) is not None,
        lambda path, built_in: load_statismo(path, built_in()),
    ),
    Form("ICT-FaceKit (folder FaceXModel)", is_ict, lambda path, built_in: load_ict(path, built_in())),
    Form(
        "a mesh of your own (folder with template.obj and landmarks.txt, docs/guide/own_face_model.md)",
        is_template,
        lambda path, built_in: load_template(path, built_in()),
    ),
    Form(
        "GNM Head (gnm_head.npz, or a folder with it)",
        lambda path: find_gnm(path) is not None,
        lambda path, built_in: load_gnm(path, built_in()),
        gnm_tables,
    ),
    Form(
        "Surrey Face Model (sfm_shape_3448.bin of the eos library, or a folder with it)",
        lambda path: find_surrey(path) is not None,
        lambda path, built_in: load_surrey(path, built_in()),
    ),
    # The last, because a .pkl in its folder is taken for FLAME's, to say how to convert it.
    Form(
        "FLAME (.npz with v_template, shapedirs and f, or a folder with one)",
        lambda path: find_flame(path) is not None,
        lambda path, built_in: load_flame(path, built_in()),
    ),
)


def form_of(path: Path) -> Form | None:
    """The format of a file or folder; None if it is not one of `FORMS`."""
    return next((form for form in FORMS if form.recognise(path)), None)


def known_forms() -> str:
    """Descriptions of all formats that `load_published` reads, for messages."""
    own, *others = other_forms()
    return "; ".join([own, FORMS[0].description, *others])


def other_forms() -> list[str]:
    """Descriptions of the formats other than that of Basel 2009."""
    return ["a face model of this program (.npz)", *(form.description for form in FORMS[1:])]


def model_files(path: Path) -> list[Path]:
    """The files of a model's file or folder that `load_published` may read, sorted.

    Others in the same folder, such as notes, do not tell two copies of a model apart.
    """
    path = Path(path)
    if path.is_dir():
        folder = path
        models = [file for name in _FOLDERS for file in visible_files(path / name, *_SUFFIXES)]
    else:
        folder = path.parent
        models = [path, *folder.glob(_BESIDE)]
    found = {*models, *(folder / name for name in _TABLES), *gnm_tables(path)}
    return sorted(file for file in found if file.is_file())


def load_published(path: Path, cache_dir: Path) -> FaceModel:
    """Loads the face model in a file or folder.

    Conversion takes seconds to minutes, so the result is cached in `cache_dir` and reused while the names, sizes and
    times of the files, `METHOD` and the built-in model, which supplies missing parts, stay the same.

    Args:
      path: the file, or the folder of files under their published names.
      cache_dir: folder of the cache; created if missing.

    Raises:
      UserError: the format is unknown, or a file is missing or wrong.
    """
    path = Path(path)
    form = form_of(path)
    if form is None:
        if path.suffix.lower() == ".npz":
            model = FaceModel.load(path)
            check_own_model(model, str(path), load_built_in(cache_dir))
            return _with_scale(model)
        files = visible_files(path, *_SUFFIXES) if path.is_dir() else []
        if files:
            names = ", ".join(file.name for file in files[:5]) + (", ..." if len(files) > 5 else "")
            got = f"a folder with {names} (is one of them the model? name the file)"
        else:
            got = "none of them"
        raise UserError(f"{path}: must be a face model in a known form ({known_forms()}), got {got}")
    cached = Path(cache_dir) / f"{path.stem}-{_digest(path, form.elsewhere(path))}.npz"
    return FaceModel.cached(cached, lambda: _converted(form, path, cache_dir))


def _converted(form: Form, path: Path, cache_dir: Path) -> FaceModel:
    model = form.load(path, lambda: load_built_in(cache_dir))
    if form.own:
        check_own_model(model, str(path), load_built_in(cache_dir), converted=True)
    return _with_scale(model)


def _with_scale(model: FaceModel) -> FaceModel:
    """The model with the prior and the strength that names give to its expressions, where it has none of its own."""
    prior, strength = model.expression_prior, model.expression_strength
    if prior is None:
        prior = prior_of_names(model.expression_names)
    if strength is None:
        strength = _EARLIER_STRENGTHS.get(model.name)
    return dataclasses.replace(model, expression_prior=prior, expression_strength=strength)


def _digest(path: Path, elsewhere: Iterable[Path] = ()) -> str:
    """Short hash of the names, sizes and times of a model's files, also `elsewhere`, and of the conversion method."""
    digest = hashlib.sha256(f"{METHOD}\n{BUILT_IN_METHOD}\n".encode())
    for file in [*_files(path), *elsewhere]:
        try:
            state = file.stat()
        except FileNotFoundError:  # another program's, deleted since it was listed
            continue
        digest.update(f"{os.path.relpath(file, path.parent)} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _files(path: Path) -> Iterable[Path]:
    """The files that may belong to the model: not hidden ones, to which those that are being written belong."""
    # Beside a file, too, there are others that belong to it, such as landmarks.
    folder, found = (path, path.rglob("*")) if path.is_dir() else (path.parent, path.parent.iterdir())
    shown = [file for file in found if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    return sorted(file for file in shown if file.is_file())
