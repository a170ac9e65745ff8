"""A check of what a configuration needs and has; every missing file with its purpose and its source."""

from collections.abc import Iterator
from pathlib import Path

from configs import schema
from lib.errors import UserError
from lib.face_model_files.formats.basel2009 import is_basel_2009
from lib.face_model_files.published import form_of, known_forms
from lib.files.atomic import file_sha256
from lib.runtime.quiet_tensorflow import import_tensorflow
from model.weights import assets
from model.weights.assets import Asset
from model.weights.pretrained import is_frozen

DEFAULT = "configs/default.yaml"
# A file of another size is damaged or another file; one of other contents may be another release.
MARKS = {"found": "ok", "missing": "MISSING", "differs": "DIFFERS", "changed": "DIFFERS", "optional": "-"}


def diagnose(config: schema.Config, name: str) -> bool:
    """Prints what a configuration needs and has.

    Args:
      config: the effective configuration.
      name: what to call it.

    Returns:
      Whether training and test mode have every file that nobody but the user can bring, and can use them together.
    """
    print(f"{name}")
    ready, option = True, f" --config {name}" if name != DEFAULT else ""
    for heading, lines in (
        ("face model", _face_model(config)),
        ("regressor", _regressor(config, option)),
        ("identity network", _network(config.identity.weights, assets.IDENTITY_GRAPH, option)),
    ):
        print(f"  {heading}")
        for state, text in lines:
            ready &= state in ("found", "optional", "changed")
            print(f"    {MARKS[state]:8} {text}")
    if ready and (fault := _fault(config)):
        ready = False
        print(f"    {'BROKEN':8} {fault}")
    print("  made by the programs")
    for path, command in (
        (config.records_path, f"python create_bin.py{option}"),
        (config.run_dir / "best.npz", f"python main.py --mode train{option}"),
    ):
        there = path.is_file()
        print(f"    {'ok' if there else 'not yet':8} {path}" + ("" if there else f": {command}"))
    print(f"  {'this configuration can run' if ready else 'this configuration cannot run: see above'}\n")
    return ready


def _fault(config: schema.Config) -> str | None:
    """The error that loading the files together raises; None if they work together."""
    import_tensorflow()
    from model.pipeline import load_face_model, load_identity, load_regressor

    try:
        face_model = load_face_model(config)
        load_regressor(config, face_model)
        load_identity(config, face_model)
    except UserError as error:
        return str(error)
    return None


def _face_model(config: schema.Config) -> Iterator[tuple[str, str]]:
    source = config.face_model.source
    if source == "built-in":
        yield "found", "built in: made by the program"
        return
    path = schema.asset_path(source)
    form = form_of(path)
    if form is None and path.suffix == ".npz":
        yield ("found" if path.is_file() else "missing"), f"{path}: a face model as data/README.md describes"
        return
    if form is not None and not is_basel_2009(path):
        yield "found", f"{path}: {form.description}"
        return
    if not path.is_dir() or not any(path.iterdir()):
        yield "optional", f"{path}: takes any of these forms: {known_forms()}; of the first, these are missing"
    if any((path / name).is_file() for name in assets.BASEL_READY.names):
        yield _asset(path, assets.BASEL_READY)
    else:
        for asset in assets.BASEL_RAW:
            yield _asset(path, asset)
    for asset in assets.BASEL_OPTIONAL:
        yield _asset(path, asset)


def _regressor(config: schema.Config, option: str) -> Iterator[tuple[str, str]]:
    weights = config.regressor.weights
    checkpoint = Path(weights).suffix == ".pth"
    yield from _network(weights, assets.REGRESSOR_CHECKPOINT if checkpoint else assets.REGRESSOR_GRAPH, option)
    if config.pretrain.initial:
        path = schema.asset_path(config.pretrain.initial)
        index = path.with_name(f"{path.name}.index")  # TensorFlow's second format has several files
        yield _asset(path.parent, assets.SLIM_CHECKPOINT, index if index.is_file() else path)


def _network(weights: str, published: Asset, option: str) -> Iterator[tuple[str, str]]:
    path = schema.asset_path(weights)
    if is_frozen(path):
        yield _asset(path.parent, published, path)
    else:
        made = "" if path.is_file() else f": python main.py --mode pretrain{option}"
        yield ("found" if path.is_file() else "missing"), f"{path}{made}"


def _asset(folder: Path, asset: Asset, wanted: Path | None = None) -> tuple[str, str]:
    """State and description of a published file in a folder."""
    candidates = [wanted] if wanted else [folder / name for name in asset.names]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    about = f"{asset.purpose}; {asset.licence}"
    if path is None:
        size = "" if asset.size is None else f", {asset.size:,} bytes"
        state = "optional" if asset.optional else "missing"
        return state, f"{candidates[0]}: {about}{size}; from {asset.source}"
    found = path.stat().st_size
    if asset.size is not None and found != asset.size:
        return "differs", f"{path}: must have {asset.size:,} bytes, got {found:,}; from {asset.source}"
    if asset.sha256 is not None and file_sha256(path) != asset.sha256:
        return "changed", f"{path}: the published file's SHA-256 begins with {asset.sha256[:12]}, this one's does not"
    return "found", f"{path}: {about}"
