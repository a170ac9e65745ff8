"""Command-line flags that set configuration options, and the one-line error messages of both programs."""

import argparse
import difflib
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from configs import schema
from lib.errors import DiskFull, UserError, one_line
from lib.files.shards import Shard
from lib.runtime.interruption import Interrupted, signals_interrupt

# Flags, most of them named as in the original program, and the option each one sets.
OPTIONS = {
    "name": "data.name",
    "suffix": "train.suffix",
    "stage": "train.stage",
    "restore": "train.restore",
    "gan": "gan.enabled",
    "wide": "texture.wide",
    "model": "texture.variant",
    "root_dir": "data.root_dir",
    "batch_size": "train.batch_size",
    "epoch": "train.epochs",
    "eval": "train.eval_every",
    "img_size": "data.image_size",
    "nz": "texture.nz",
    "lr": "train.learning_rate",
    "buffer_size": "data.buffer_size",
    "workers": "data.workers",
    "drop_rate": "texture.drop_rate",
    "adv_lambda": "gan.adversarial",
    "seed": "train.seed",
    "deterministic": "train.deterministic",
    "fit": "fit.steps",
    "export": "export.formats",
    "faces": "prepare.faces",
    "same-person": "test.same_person",
}


# Flags of both programs whose values are texts -> what they must be. An empty one, e.g. of a variable of the shell that
# is not set, must not stand for a flag that was not given: Path("") is the current folder, and without --verify,
# create_bin.py packs. An empty --suffix is its default.
TEXTS = {
    **dict.fromkeys(("config", "input", "output", "video", "verify", "root_dir"), "a path"),
    "name": "a name",
    "cluster": "local or an address",
    "export": "formats, or none",
}
_PHOTOS = ("test", "track", "evaluate", "serve")
_NETWORK = ("train", *_PHOTOS)
# Flags whose options other modes would ignore -> the modes that have them. The original program's flags also come with
# the original's modes, train and test; --mode doctor examines the configuration of any command.
MODES_OF = {
    **dict.fromkeys(("stage", "restore", "batch_size", "epoch", "eval", "lr", "adv_lambda"), ("train", "test")),
    **dict.fromkeys(("name", "suffix", "gan", "wide", "model", "nz", "drop_rate", "seed"), _NETWORK),
    "img_size": (*_NETWORK, "prepare"),
    "buffer_size": ("train", "test", "evaluate"),
    "workers": ("train", "test", "prepare", "pretrain", "evaluate", "masks"),
    "deterministic": ("train", "pretrain", "masks"),
    "fit": _PHOTOS,
    "export": ("test", "track"),
    "faces": ("prepare", "test"),
    "same-person": ("test",),
}
# What these modes have instead of a flag.
_INSTEAD = {
    "pretrain": {
        "lr": "pretrain.learning_rate",
        "batch_size": "pretrain.batch_size",
        "epoch": "pretrain.regressor_updates and pretrain.identity_updates",
        "seed": "pretrain.seed",
        "img_size": "pretrain.image_size",
    },
    "masks": {
        "lr": "mask.learning_rate",
        "batch_size": "mask.batch_size",
        "epoch": "mask.updates",
        "seed": "mask.seed",
    },
}


class _Once(argparse._StoreAction):
    """Stores a flag's value, and refuses a second one that differs: of two, argparse would take the last."""

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        if (first := vars(namespace).setdefault("given", {}).setdefault(option_string, values)) != values:
            raise UserError(f"{option_string} must be given once, got {first} and {values} (leave one of them out)")
        super().__call__(parser, namespace, values, option_string)


class Parser(argparse.ArgumentParser):
    """Parser that raises UserError for a bad command line and accepts `section.key=value` anywhere among the flags."""

    def __init__(self, **arguments: Any):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **arguments)
        self.register("action", None, _Once)

    def error(self, message: str) -> NoReturn:
        if given := re.match(r"argument (\S+): ignored explicit argument (.*)", message):
            raise UserError(f"{given[1]} takes no value, got {given[2]} (leave the flag out if it shall not be set)")
        raise UserError(f"{message} (see --help)")

    def add_options(self, names: Iterable[str]) -> None:
        """Adds the flags `names` of OPTIONS; the help text is the option's description and its default."""
        defaults = schema.load()
        for name in names:
            section, key = OPTIONS[name].split(".")
            block = getattr(defaults, section)
            field = block.__dataclass_fields__[key]
            default = getattr(block, key)
            doc = field.metadata["doc"].replace("%", "%%")  # argparse formats help texts
            if isinstance(default, bool):
                self.add_argument(f"--{name}", action="store_true", default=None, help=doc)
                continue
            shown = default if default != "" else "empty"
            choices = field.metadata["choices"]
            metavar = f"{{{','.join(map(str, choices))}}}" if choices else type(default).__name__.upper()
            convert: Callable[[str], str] = str
            if isinstance(default, tuple):
                shown, metavar, convert = ",".join(default), ",".join(choices), _as_list
            self.add_argument(
                f"--{name}",
                metavar=metavar,
                type=convert,
                help=f"{doc} (default: {str(shown).replace('%', '%%')})",
            )

    def add_sharding(self, shard: str, merge: str) -> argparse._MutuallyExclusiveGroup:
        """Adds --shard, --merge and --cluster, which exclude each other; returns their group.

        Args:
          shard: what a shard is, for the help.
          merge: what merging does.
        """
        group = self.add_mutually_exclusive_group()
        group.add_argument("--shard", metavar="I/N", help=f"{shard}, I from 0; any scheduler may run the parts")
        group.add_argument("--merge", action="store_true", help=merge)
        group.add_argument(
            "--cluster",
            metavar="local|ADDRESS",
            help="run all parts on Ray and join them: local, on this machine; auto, host:port or ray://host:port, on a "
            "running cluster whose machines see the same folders (pip install -r requirements-cluster.txt)",
        )
        return group

    def add_distribution(self) -> None:
        """Adds --distribute and --replicas; see `check_mode`."""
        self.add_argument(
            "--distribute",
            choices=("mirrored", "multi_worker"),
            help="--mode train by several processes: mirrored starts one for each GPU of this machine; with "
            "multi_worker, this is one of those that TF_CONFIG or SLURM's srun lists",
        )
        self.add_argument(
            "--replicas",
            metavar="N",
            type=int,
            help="--distribute mirrored: number of processes (default: one for each GPU, or one without GPUs)",
        )

    def parse(self, argv: Iterable[str] | None) -> argparse.Namespace:
        """Parses the flags.

        `overrides` collects every `section.key=value`, those set by flags first. After `add_sharding`, `divided` names
        which of its flags was given, for messages, and `arguments` is the command line without --cluster,
        --distribute and --replicas.

        Raises:
          UserError: unknown flag, a value outside a flag's choices, an empty text as one of `TEXTS`, or a flag or an
            option that is given twice with different values.
        """
        words = sys.argv[1:] if argv is None else list(argv)
        args, rest = self.parse_known_args(words)
        vars(args).pop("given", None)
        for flag, must in TEXTS.items():
            value = getattr(args, flag, None)
            if value is not None and must == "a path":
                setattr(args, flag, os.path.expanduser(value))  # in quotes, the shell has not done so
            if value == "":
                raise UserError(f"--{flag} must be {must}, got an empty text (a variable that is not set?)")
        if hasattr(args, "shard"):
            args.shard = None if args.shard is None else Shard.parse(args.shard)
            args.divided = "--cluster" if args.cluster else "--shard and --merge" if args.shard or args.merge else ""
            args.arguments = _without(words, ("--cluster", "--distribute", "--replicas"))
        for text in rest:
            if text.startswith("-"):
                flag = text.partition("=")[0]
                close = difflib.get_close_matches(flag, self._option_string_actions, n=1, cutoff=0.6)
                raise UserError(
                    f"unknown flag '{flag}'" + (f"; did you mean '{close[0]}'?" if close else " (see --help)")
                )
            before = words[max(words.index(text) - 2, 0)]  # a flag, its value, and what it does not take
            if "=" not in text and before in [f"--{flag}" for flag in TEXTS]:
                advice = "separate formats by commas" if before == "--export" else "quote a name with spaces"
                raise UserError(f"{before} takes one value, got {text!r:.60} after it ({advice})")
        values = {name: getattr(args, name.replace("-", "_"), None) for name in OPTIONS}
        given = {OPTIONS[name]: value for name, value in values.items() if value is not None}
        args.overrides = [f"{key}={'true' if value is True else value}" for key, value in given.items()] + rest
        _check_once(args.overrides)
        return args


def set_folders(args: argparse.Namespace, modes: Sequence[str]) -> None:
    """Turns --input and --output into options of the mode's section.

    Raises:
      UserError: the mode is none of `modes`.
    """
    for flag in ("input", "output"):
        if (value := getattr(args, flag)) is not None:
            if args.mode not in modes:
                *most, last = modes
                raise UserError(f"--{flag} must come with --mode {', '.join(most)} or {last}, got --mode {args.mode}")
            args.overrides.append(f"{args.mode}.{flag}={value}")
    _check_once(args.overrides)


def _check_once(overrides: Iterable[str]) -> None:
    """Raises UserError if an option has two values, by a flag and by `section.key=value`, or twice by the latter."""
    values: dict[str, str] = {}
    for text in overrides:
        key, _, value = text.partition("=")
        if values.setdefault(key, value) != value:
            raise UserError(f"{key}: must be given once, got {values[key]} and {value} (leave one of them out)")


def check_mode(args: argparse.Namespace) -> None:
    """Raises UserError if a flag comes with a mode that would ignore it, or --replicas without what it needs."""
    for flag, modes in MODES_OF.items():
        if getattr(args, flag.replace("-", "_")) is not None and args.mode not in (*modes, "doctor"):
            *most, last = modes
            must = f"{', '.join(most)} or {last}" if most else last
            other = _INSTEAD.get(args.mode, {}).get(flag)
            advice = f" (use {other})" if other else ""
            raise UserError(f"--{flag} must come with --mode {must}, got --mode {args.mode}{advice}")
    if args.distribute and args.mode != "train":
        raise UserError(f"--distribute must come with --mode train, got --mode {args.mode}")
    if args.replicas is not None and args.distribute != "mirrored":
        raise UserError(f"--replicas must come with --distribute mirrored, got {args.distribute or 'no --distribute'}")
    if args.replicas is not None and args.replicas < 1:
        raise UserError(f"--replicas must be at least 1, got {args.replicas} (leave it out for one for each GPU)")


def for_parts(words: Iterable[str]) -> list[str]:
    """A command line for the parts of a cluster, which says how many processes they use."""
    return _without(words, ("--workers", OPTIONS["workers"]))


def _without(words: Iterable[str], flags: Sequence[str]) -> list[str]:
    """A command line without some flags and their values."""
    waiting = iter(words)
    kept = []
    for word in waiting:
        if word in flags:
            next(waiting, None)
        elif not word.startswith(tuple(f"{flag}=" for flag in flags)):
            kept.append(word)
    return kept


def _as_list(text: str) -> str:
    """A flag's comma-separated list as a YAML list; `none` and an empty text stay as they are."""
    return text.strip() if text.strip() in ("", "none") else f"[{text}]"


def run(program: Callable[[], int | None], resume: str) -> int:
    """Runs a program; user errors and system errors become one line on stderr.

    Args:
      program: the main function; returns the exit code, None for 0.
      resume: how to resume after an interruption, shown to the user.

    Returns:
      The exit code: 2 for UserError, OSError or DiskFull; when told to stop, 128 plus the signal's number (130 for
      Ctrl-C, 143 for SIGTERM).
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of photos in scripts that the console's encoding lacks must not stop a run; stderr is so by default.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with signals_interrupt():
            return program() or 0
    except (UserError, OSError, DiskFull) as error:
        message, code = f"error: {one_line(error)}", 2
    except KeyboardInterrupt as error:
        advice, number = (error.advice, error.number) if isinstance(error, Interrupted) else ("", signal.SIGINT)
        message, code = f"\ninterrupted; {advice or resume}", 128 + number
    # Not before the exception is gone, and with it the progress bars in its traceback: their last lines come first.
    print(message, file=sys.stderr)
    return code
