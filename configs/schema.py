"""The configuration: frozen dataclasses document and bound every option, YAML files hold the values.

`configs/default.yaml` holds every value. Another file lists only the values that differ, and `section.key=value`
overrides apply last. `python -m configs.schema [FILE]` prints the effective configuration with descriptions.
"""

import dataclasses
import difflib
import functools
import json
import math
import os
import sys
import types
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from configs import (
    data_sections,
    evaluation_sections,
    network_sections,
    photo_sections,
    plain_yaml,
    serve_sections,
    training_sections,
)
from configs.section import LARGEST, Section, shown
from lib.errors import UserError
from lib.runtime.resources import processors

DEFAULT = Path(__file__).resolve().parent / "default.yaml"
REPOSITORY = DEFAULT.parents[1]


@dataclasses.dataclass(frozen=True)
class Config:
    """The complete configuration of a run; each section is a dataclass from configs/*_sections.py."""

    data: data_sections.Data
    face_model: data_sections.FaceModel
    camera: data_sections.Camera
    regressor: network_sections.Regressor
    identity: network_sections.Identity
    mask: network_sections.Mask
    texture: network_sections.Texture
    loss: training_sections.Loss
    schedule: training_sections.Schedule
    train: training_sections.Train
    gan: training_sections.Gan
    fit: photo_sections.Fit
    test: photo_sections.Test
    track: photo_sections.Track
    export: photo_sections.Export
    prepare: photo_sections.Prepare
    serve: serve_sections.Serve
    pretrain: training_sections.Pretrain
    evaluate: evaluation_sections.Evaluate

    def __post_init__(self) -> None:
        if self.data.synthetic_seed == self.pretrain.seed:
            raise UserError(
                f"data.synthetic_seed: must differ from pretrain.seed, got {self.pretrain.seed} for both "
                "(the networks would be measured on faces they were pre-trained on)"
            )

    @property
    def workers(self) -> int:
        """Number of processes or threads that prepare data."""
        if self.data.workers:
            return self.data.workers
        return processors()

    @property
    def records_path(self) -> Path:
        """The packed crops this configuration trains on: a record file, or the index of several."""
        return Path(self.data.records) if self.data.records else self.packed_path

    @property
    def packed_path(self) -> Path:
        """The record file that create_bin.py writes."""
        return Path(self.data.root_dir) / "data" / f"{self.data.name}.bin"

    @property
    def params_dir(self) -> Path:
        """Folder of this data set's split and mesh hierarchy."""
        return Path(self.data.root_dir) / "data" / "params" / self.data.name

    @property
    def generated_dir(self) -> Path:
        """Folder of the synthetic crops, their ground truth and cached face models."""
        return Path(self.data.root_dir) / "data" / "generated"

    @property
    def crops_dir(self) -> Path:
        """Folder of the synthetic crops: `faces` for the default data set, `faces_<name>` for others."""
        default = (self.face_model.source, self.data.name) == ("human-head", "face")
        return self.generated_dir / ("faces" if default else f"faces_{self.data.name}")

    @property
    def run_dir(self) -> Path:
        """Folder of this run's checkpoints, logs and sample sheets: checkpoints/<name>_<suffix>."""
        suffix = self.train.suffix or self.texture.variant + ("_gan" if self.gan.enabled else "")
        return Path(self.data.root_dir) / "checkpoints" / f"{self.data.name}_{suffix}"

    @property
    def texture_path(self) -> Path:
        """The texture network that reconstructs photos: the run's best, or texture.weights while there is no run."""
        best = self.run_dir / "best.npz"
        return best if best.is_file() or not self.texture.weights else asset_path(self.texture.weights)


def section_types() -> dict[str, type[Section]]:
    """Section name -> section class."""
    return get_type_hints(Config)


def asset_path(path: str) -> Path:
    """Path of a file that belongs to the program (weights, face model), relative to the repository."""
    return REPOSITORY / path


def load(path: str | os.PathLike[str] | None = None, overrides: Iterable[str] | Mapping[str, Any] = ()) -> Config:
    """Reads a configuration.

    Args:
      path: YAML file of the values that differ from configs/default.yaml; None for the defaults.
      overrides: `section.key=value` strings (the value is YAML), or {"section.key": value}; applied last.

    Raises:
      UserError: unreadable file, unknown section or key, or a value of the wrong type or out of bounds.
    """
    if path is not None and not isinstance(path, str | os.PathLike):
        raise UserError(f"a configuration must be the path of a YAML file, got {shown(path)} (overrides come after it)")
    values = plain_yaml.read_sections(DEFAULT)
    if missing := set(_keys()) - _flatten(values, DEFAULT).keys():
        raise UserError(f"{DEFAULT}: every key must be given, got none for {', '.join(sorted(missing))}")
    given: dict[str, Any] = {}
    if path is not None and Path(path).resolve() != DEFAULT:
        given = _flatten(plain_yaml.read_sections(Path(path)), path)
        for key, value in given.items():
            _assign(values, key, value, str(path))
    changed = _parse_overrides(overrides)
    for key, value in changed.items():
        _assign(values, key, value, "command line")
    try:
        return _built(values)
    except UserError as error:
        if str(error).partition(":")[0] in given.keys() - changed.keys():
            raise UserError(f"{path}: {error}") from None
        raise


def _built(values: dict[str, dict[str, Any]]) -> Config:
    built: dict[str, Any] = {}
    for section, kind in section_types().items():
        hints = get_type_hints(kind)
        arguments = {
            field.name: _convert(values[section][field.name], hints[field.name], f"{section}.{field.name}")
            for field in dataclasses.fields(kind)
        }
        built[section] = kind(**arguments)
    return Config(**built)


def to_yaml(config: Config) -> str:
    """The effective configuration as commented YAML; `load` reads it back unchanged."""
    lines = []
    for section, kind in section_types().items():
        lines += [f"# {kind.summary()}", f"{section}:"]
        block = getattr(config, section)
        for field in dataclasses.fields(block):
            lines.append(f"  # {field.metadata['doc']}")
            value = getattr(block, field.name)
            lines.append(f"  {field.name}: {_scalar(value)}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _scalar(value: Any) -> str:
    """A value as JSON, which is valid YAML except for 1e-05: YAML reads it as a string, so write 1.0e-05.

    Bytes of file names that are not UTF-8 become escapes, so that the text can be written to a file.
    """
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, float) and "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return text


def _flatten(values: dict[str, dict[str, Any]], source: str | os.PathLike[str]) -> dict[str, Any]:
    flat = {}
    for section, block in values.items():
        for key, value in block.items():
            if not isinstance(key, str) or not isinstance(section, str):
                raise UserError(f"{source}: keys must be words, got {section}.{key}")
            flat[f"{section}.{key}"] = value
    for key in flat:
        _check_known(key, source)
    return flat


def _parse_overrides(overrides: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(overrides, Mapping):
        return {key: plain_yaml.plain_value(value) for key, value in overrides.items()}
    if isinstance(overrides, str) or not isinstance(overrides, Iterable):
        raise UserError(f"overrides must be a list of section.key=value or a dict, got {shown(overrides)}")
    parsed = {}
    for text in overrides:
        key, equals, value = text.partition("=") if isinstance(text, str) else ("", "", "")
        if not equals or "." not in key:
            raise UserError(f"an override must be section.key=value, got {shown(text)}")
        _check_known(key, "command line")
        section, name = key.split(".")
        if get_type_hints(get_type_hints(Config)[section])[name] is str:
            parsed[key] = value  # not YAML: names such as 007 stay strings, and paths may hold YAML syntax
            continue
        try:
            parsed[key] = plain_yaml.parse(value) if value.strip() else ""
        except plain_yaml.BadYaml as error:
            raise UserError(f"{key}: the value must be YAML, got {shown(value)}") from error
    return parsed


def _check_known(key: str, source: str | os.PathLike[str]) -> None:
    known = _keys()
    if key not in known:
        guess = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        hint = f"did you mean '{guess[0]}'?" if guess else "configs/default.yaml lists all keys"
        raise UserError(f"{source}: unknown key '{key}'; {hint}")


@functools.cache
def _keys() -> list[str]:
    return [f"{name}.{field.name}" for name, kind in section_types().items() for field in dataclasses.fields(kind)]


def _assign(values: dict[str, dict[str, Any]], key: str, value: Any, source: str) -> None:
    _check_known(key, source)
    section, name = key.split(".", 1)
    values[section][name] = value


def _convert(value: Any, wanted: Any, key: str) -> Any:
    """Converts `value` to the annotated type; apart from int to float and numeric strings, other types are errors."""
    if value == "" and wanted is not str:
        raise UserError(f"{key}: must be {_described(wanted)}, got an empty text (a variable that is not set?)")
    if isinstance(wanted, types.GenericAlias):  # tuple[int, ...]
        (item, _) = wanted.__args__
        if item is str and isinstance(value, str):
            if "," in value:
                raise UserError(f"{key}: several texts must be written [a, b], got {shown(value)}")
            value = [] if value == "none" else [value]
        if not isinstance(value, (list, tuple)):
            raise UserError(f"{key}: must be {_described(wanted)}, got {shown(value)}")
        return tuple(_convert(v, item, key) for v in value)
    if wanted is float and isinstance(value, str):
        try:
            value = float(value)  # YAML reads 1e-3 as a string
        except ValueError:
            raise UserError(f"{key}: must be a number, got {shown(value)}") from None
    if wanted is int and type(value) is int and abs(value) > LARGEST:
        raise UserError(f"{key}: must be at most {LARGEST:,} in size, got {shown(value)}")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise UserError(f"{key}: must be finite, got {shown(value)}") from None
    if type(value) is not wanted:
        raise UserError(f"{key}: must be {_described(wanted)}, got {shown(value)}")
    if wanted is float and not math.isfinite(value):
        raise UserError(f"{key}: must be finite, got {value}")
    if wanted is str and (value == "~" or value.startswith("~/")):
        value = os.path.expanduser(value)  # in a file, or in quotes, no shell has done so
    if wanted is str and any(_is_unprintable(character) for character in value):
        raise UserError(f"{key}: must be a text without control characters, got {shown(value)}")
    return value


def _described(wanted: Any) -> str:
    """A type for messages."""
    if isinstance(wanted, types.GenericAlias):
        return f"a list of {wanted.__args__[0].__name__}"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text (in quotes)"}[wanted]


def _is_unprintable(character: str) -> bool:
    """True for control characters and for halves of surrogate pairs, except bytes of file names that are not UTF-8."""
    return unicodedata.category(character) in ("Cc", "Cs") and not "\udc80" <= character <= "\udcff"


if __name__ == "__main__":
    try:
        print(to_yaml(load(sys.argv[1] if len(sys.argv) > 1 else None)), end="")
    except UserError as problem:
        sys.exit(f"{problem}")
