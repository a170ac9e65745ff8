"""The local page of --mode serve: photos go into a bounded queue, one thread reconstructs them."""

import importlib.util

from lib.errors import UserError

PACKAGES = ("starlette", "uvicorn")


def check_packages() -> None:
    """Raises UserError if the packages that only this mode needs are not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--mode serve: {' and '.join(PACKAGES)} must be installed, got no {' and no '.join(missing)} "
            "(pip install -r requirements-serve.txt)"
        )
