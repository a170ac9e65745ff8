"""Section of the configuration for the local page."""

import dataclasses

from configs.section import Section, option
from lib.errors import UserError
from lib.messages import counted


@dataclasses.dataclass(frozen=True)
class Serve(Section):
    """The local page of `--mode serve`, which reconstructs photos dropped on it."""

    host: str = option("address to listen on; the default is reachable from this computer only")
    port: int = option("port to listen on; 0: any free one", low=0, high=65535)
    names: tuple[str, ...] = option(
        "host names, besides localhost and IP addresses, under which the page may be opened, such as a proxy's"
    )
    queue: int = option("photos that may be uploaded, waiting or in work; others are refused for now", low=1, high=1000)
    upload_mb: float = option("maximum size of a photo's file [MB]", above=0, high=1000)
    results: int = option("finished photos to hold; the oldest are removed first", low=1, high=10000)
    minutes: float = option("time after which a finished photo and its results are removed [minutes]", above=0)
    keep: str = option("folder where results are also stored for good; empty: nothing is stored")

    @property
    def lifetime(self) -> str:
        """How long a finished photo stays, for whoever gave it."""
        return f"{counted(self.minutes, 'minute')} or {counted(self.results, 'later photo')}"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.host.strip():  # to sockets, every address of this computer
            raise UserError(
                "serve.host: must be an address to listen on, got an empty text (a variable that is not set? 0.0.0.0 "
                "listens on all)"
            )
