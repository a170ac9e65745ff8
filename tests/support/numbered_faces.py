"""A face source that draws nothing: light enough for a worker process to import in no time."""

from types import SimpleNamespace

import numpy as np


class Numbers:
    """Pictures that say which index they are; counts what is drawn; may be told to fail."""

    drawn: list[int] = []  # noqa: RUF012 - shared on purpose: every source of this process adds to it

    def __init__(self, size: int, fail_at: int = -1, failure: type[BaseException] = KeyboardInterrupt):
        self.size, self.fail_at, self.failure = size, fail_at, failure

    def sample(self, index: int) -> SimpleNamespace:
        if index == self.fail_at:
            raise self.failure
        Numbers.drawn.append(index)
        image = np.full((self.size, self.size, 3), index % 251, np.uint8)
        return SimpleNamespace(
            image=image, alpha=image[..., 0], coefficients=np.full(4, index, np.float32), identity_id=index // 2
        )
