"""Guard in front of the page: refuses requests of other sites, and adds the headers that browsers enforce."""

import ipaddress
import urllib.parse
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing from elsewhere, no inline scripts, no frames; blob: is a photo that the browser itself shows.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that lets only the page itself talk to the server.

    A page of another site can make a browser send requests here. Such a request carries the other site's `Origin`; or,
    if that site has pointed its own name at this address (DNS rebinding), its name as `Host`. An IP address as `Host`
    cannot be rebound. A link from elsewhere, or the way back from a log-in, may open the page.

    Args:
      app: the application.
      names: permitted host names besides localhost and IP addresses.
    """

    def __init__(self, app: ASGIApp, names: Collection[str] = ()):
        self.app, self.names = app, {"localhost", *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        fault = self.fault(scope["method"], Headers(scope=scope))
        if fault is not None:
            await JSONResponse({"error": fault}, 403)(scope, receive, send_with_headers)
            return
        await self.app(scope, receive, send_with_headers)

    def fault(self, method: str, headers: Headers) -> str | None:
        """The reason why a request must be refused; None if it may pass."""
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._permitted(host):
            return (
                f"the page must be opened as localhost, by IP address or by a name of serve.names, got {host[:200]!r}"
            )
        if origin is not None and _netloc(origin) != host.lower():
            return f"requests must come from the page itself, got one from {origin[:200]!r}"
        # Older browsers do not send it; they send Origin with all requests that change anything.
        elsewhere = headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if elsewhere and not _opens_a_page(method, headers):
            return "requests must come from the page itself, got one from another site"
        return None

    def _permitted(self, host: str) -> bool:
        try:
            name = urllib.parse.urlsplit(f"//{host}").hostname or ""
        except ValueError:  # no address, such as [
            return False
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _opens_a_page(method: str, headers: Headers) -> bool:
    """Whether a request fills a window of its own, whose contents the other site cannot read."""
    kind = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return method == "GET" and kind == ("navigate", "document")


def _netloc(origin: str) -> str | None:
    """Host and port of an `Origin`, in lower case; None if it is no address, such as http://[."""
    try:
        return urllib.parse.urlsplit(origin).netloc.lower()
    except ValueError:
        return None
