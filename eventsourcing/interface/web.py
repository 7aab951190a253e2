"""Serves a notification log over HTTP: as a WSGI or an ASGI application, to be mounted by any
framework (docs: how-to/feed). Who may read it is the framework's to decide.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from eventsourcing.exceptions import (
    ApplicationClosedError,
    EventSourcingError,
    InvalidSectionID,
    PersistenceError,
)
from eventsourcing.interface.notificationlog import Sections
from eventsourcing.interface.sections import Section, dump_section

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["Answer", "SectionsASGI", "SectionsHTTP", "SectionsWSGI"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

YEAR = 365 * 24 * 3600

_STATUSES = {
    200: "200 OK",
    304: "304 Not Modified",
    400: "400 Bad Request",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}
_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What to answer to a request.

    Attributes:
        status: such as 200.
        headers: names and values.
        body: empty for HEAD, and for what the client has.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def reason(self) -> str:
        """The status in words, as WSGI wants it: ``200 OK``."""
        return _STATUSES[self.status]


class SectionsHTTP:
    """Answers requests for sections, whatever they came through.

    Args:
        sections: what to serve.
        is_public: whether caches that many users share may keep sections, which are then given
            to whoever may ask the cache.
    """

    def __init__(self, sections: Sections, is_public: bool = False) -> None:
        self._sections = sections
        whose = "public" if is_public else "private"
        self._final = f"{whose}, max-age={YEAR}, immutable"
        self._archived = f"{whose}, no-cache"

    def respond(self, method: str, path: str, if_none_match: str | None = None) -> Answer:
        """Returns the answer to a request, whatever goes wrong.

        Args:
            method: of HTTP.
            path: what comes after the place where the log is mounted: ``/1,10``.
            if_none_match: the request's header.
        """
        if method not in ("GET", "HEAD"):
            return _error(405, "only GET and HEAD are answered", ("Allow", "GET, HEAD"))
        section_id = path.removeprefix("/")
        if not section_id or "/" in section_id:
            return _error(404, "there is no such page; ask for the section: current")
        try:
            answer = self._section(section_id, if_none_match)
        except InvalidSectionID as error:
            answer = _error(400, str(error))
        except (PersistenceError, ApplicationClosedError) as error:
            _log.error("section %.50r: %s: %s", section_id, type(error).__name__, error)
            answer = _error(503, "the log cannot be read at the moment", ("Retry-After", "1"))
        except Exception as error:
            # The messages of others may show anything.
            what = error if isinstance(error, EventSourcingError) else "see its type"
            _log.error("section %.50r: %s: %s", section_id, type(error).__name__, what)
            answer = _error(500, "the section cannot be read")
        return answer._replace(body=b"") if method == "HEAD" else answer

    def _section(self, section_id: str, if_none_match: str | None) -> Answer:
        section = self._sections.section(section_id)
        body = dump_section(section)
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = (("ETag", etag), ("Cache-Control", self._keeping(section)))
        if _has(if_none_match, etag):
            return Answer(304, headers, b"")
        return _answer(200, body, *headers)

    def _keeping(self, section: Section) -> str:
        """Returns for how long caches may use the section without asking whether it has changed."""
        if section.is_final:
            return self._final
        return self._archived if section.is_archived else "no-cache"


class SectionsWSGI:
    """A WSGI application that serves a notification log.

    Args:
        sections: what to serve; see :class:`SectionsHTTP`.
    """

    def __init__(self, sections: Sections, is_public: bool = False) -> None:
        self._http = SectionsHTTP(sections, is_public)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answers a request."""
        answer = self._http.respond(
            environ["REQUEST_METHOD"],
            environ.get("PATH_INFO", ""),
            environ.get("HTTP_IF_NONE_MATCH"),
        )
        start_response(answer.reason, list(answer.headers))
        return [answer.body]


class SectionsASGI:
    """An ASGI application that serves a notification log, in a thread for each request.

    Args:
        sections: what to serve; see :class:`SectionsHTTP`.
    """

    def __init__(self, sections: Sections, is_public: bool = False) -> None:
        self._http = SectionsHTTP(sections, is_public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request. What is no request over HTTP is refused."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        answer = await asyncio.to_thread(
            self._http.respond, scope["method"], _path(scope), _if_none_match(scope)
        )
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _path(scope: Scope) -> str:
    """Returns what comes after the place where the application is mounted. Some servers leave
    that place in the path, and some take it out.
    """
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path


def _if_none_match(scope: Scope) -> str | None:
    found = [value for name, value in scope["headers"] if name == b"if-none-match"]
    return b",".join(found).decode("latin-1") if found else None


def _has(if_none_match: str | None, etag: str) -> bool:
    """Tells whether the client has what the tag stands for. (RFC 9110, 13.1.2)"""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return tags == ["*"] or etag in tags


def _error(status: int, message: str, *headers: tuple[str, str]) -> Answer:
    body = f"{message}\n".encode()
    return _answer(status, body, ("Cache-Control", "no-store"), *headers, kind="text/plain")


def _answer(
    status: int, body: bytes, *headers: tuple[str, str], kind: str = "application/json"
) -> Answer:
    own = (
        ("Content-Type", f"{kind}; charset=utf-8" if kind == "text/plain" else kind),
        ("Content-Length", str(len(body))),
        ("X-Content-Type-Options", "nosniff"),
    )
    return Answer(status, (*own, *headers), body)
