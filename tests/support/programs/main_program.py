"""Helpers that the tests of main.py's command line share."""

import sys
import types

import main
from configs import schema

ORIGINAL_FLAGS = (
    *(
        "name",
        "suffix",
        "mode",
        "stage",
        "restore",
        "gan",
        "wide",
        "model",
        "root_dir",
        "batch_size",
        "epoch",
        "eval",
    ),
    *("img_size", "nz", "lr", "buffer_size", "workers", "drop_rate", "adv_lambda", "seed", "input", "output"),
)


def config_of(*argv: str) -> schema.Config:
    """The configuration of a command."""
    args = main.parse(list(argv))
    return schema.load(args.config, args.overrides)


def called_instead(monkeypatch, module: str, function: str, result=None) -> list[tuple]:
    """Puts a recorder where main.py imports `function`; returns the list of its calls."""
    calls = []
    replacement = types.ModuleType(module)

    def record(*arguments):
        calls.append(arguments)
        if isinstance(result, BaseException):
            raise result
        return result

    setattr(replacement, function, record)
    monkeypatch.setitem(sys.modules, module, replacement)
    monkeypatch.setattr(main, "start_tensorflow", lambda seed, *_, **__: calls.append((seed,)))
    return calls
