"""The local page of --mode serve: photos go into a bounded queue, one thread reconstructs them."""

import importlib.util

from lib.errors import UserError
from lib.runtime.determinism import use_one_thread

PACKAGES = ("starlette", "uvicorn")


def prepare_process() -> None:
    """Limits the process to one thread for numerical work; call it before TensorFlow is imported.

    The page then shows what --mode test writes, bit for bit. Two threads would save little on idle cores, and wait for
    each other on cores that the browser uses.

    Raises:
      UserError: packages that only this mode needs are not installed.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--mode serve: {' and '.join(PACKAGES)} must be installed, got no {' and no '.join(missing)} "
            "(pip install -r requirements-serve.txt)"
        )
    use_one_thread()
