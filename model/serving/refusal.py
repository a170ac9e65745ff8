"""Requests that are answered with a status and one line."""

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
    return Response(
        json.dumps({"error": reason}), status, headers=getattr(error, "headers", None), media_type="application/json"
    )
