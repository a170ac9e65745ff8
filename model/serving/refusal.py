"""Requests that are answered with a status and one line: refused ones, and those that met a fault of the program."""

import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response


class Refused(Exception):
    """A request that is answered with a status and one line."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None):
        super().__init__(reason)
        self.status, self.headers = status, headers


async def refusal(_: Request, error: Exception) -> Response:
    """The answer to a refused request: {"error": "..."}."""
    status = error.status if isinstance(error, Refused) else getattr(error, "status_code", 500)
    reason = str(error) if isinstance(error, Refused) else str(getattr(error, "detail", error))
    return _answer(status, reason, getattr(error, "headers", None))


async def fault(_: Request, error: Exception) -> Response:
    """The answer where the program itself failed; the server prints the traceback, which is not the visitor's."""
    return _answer(500, "the program has failed at this request; its output says why")


def _answer(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps({"error": reason}), status, headers=headers, media_type="application/json")
