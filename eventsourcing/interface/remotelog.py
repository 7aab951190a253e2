"""Reads the sections of another program's notification log over HTTP."""

from __future__ import annotations

import http.client
import math
import re
import ssl
from collections.abc import Mapping
from contextlib import closing
from random import random
from time import monotonic, sleep
from urllib.parse import SplitResult, urlsplit

from eventsourcing.exceptions import (
    ProgrammingError,
    RemoteLogError,
    RemoteLogUnavailable,
)
from eventsourcing.interface.sections import CURRENT, Section, SectionID, load_section

__all__ = ["RemoteSections"]

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which another attempt may do better."""

CHUNK = 64 * 1024
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
LONGEST_PAUSE = 10.0


class RemoteSections:
    """The sections of a notification log that is served over HTTP.

    Each section is asked for over a connection of its own. Redirections are not followed, for
    the headers are for the server that was named. May be used from several threads at once.

    Args:
        url: where the log is mounted, such as ``https://bank.example/notifications``.
        headers: to send with each request, such as ``Authorization``.
        timeout: seconds to wait for the server each time that it is waited for; and for all of
            an answer's body.
        max_bytes: of an answer.
        retries: how many times to try again what may do better.
        first_pause: seconds before the first of these, more or less; each further pause is
            twice as long, and none longer than 10 seconds.
        ssl_context: by default, that of Python, which checks certificates.

    Raises:
        ProgrammingError: an argument cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        max_bytes: int = 64 * 2**20,
        retries: int = 4,
        first_pause: float = 0.2,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._url = _checked_url(url)
        for name, value in (("timeout", timeout), ("first_pause", first_pause)):
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise ProgrammingError(f"{name} must be a positive number")
        for name, count, least in (("max_bytes", max_bytes, 1), ("retries", retries, 0)):
            if type(count) is not int or count < least:
                raise ProgrammingError(f"{name} must be an int of at least {least}")
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **_checked_headers(headers or {}),
        }
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._retries = retries
        self._first_pause = first_pause
        self._ssl_context = ssl_context

    def section(self, section_id: str) -> Section:
        """See :meth:`Sections.section`.

        Raises:
            InvalidSectionID: it stands for no section.
            RemoteLogUnavailable: there was no answer, or the server failed, in all attempts.
            RemoteLogError: the server refuses, or its answer is not the section.
        """
        if section_id != CURRENT:
            SectionID.parse(section_id)
        for attempt in range(self._retries):
            try:
                return self._attempt(section_id)
            except RemoteLogUnavailable:
                pause = min(LONGEST_PAUSE, self._first_pause * 2**attempt)
                sleep(pause * (0.5 + random()))  # noqa: S311 - so that many do not come at once
        return self._attempt(section_id)

    def _attempt(self, section_id: str) -> Section:
        try:
            status, body = self._get(section_id)
        except (OSError, http.client.HTTPException) as error:
            raise RemoteLogUnavailable(
                f"section {section_id} of the notification log at {self._url.netloc} cannot be"
                f" read: {type(error).__name__}",
            ) from error
        if status != 200:
            kind = RemoteLogUnavailable if status in PASSING else RemoteLogError
            raise kind(
                f"{self._url.netloc} answers {status} when asked for section {section_id} of its"
                " notification log",
                status=status,
            )
        try:
            section = load_section(body)
        except ValueError as error:
            raise self._invalid(section_id, str(error)) from error
        if section_id not in (CURRENT, str(section.id)):
            raise self._invalid(section_id, f"it is section {section.id}")
        return section

    def _get(self, section_id: str) -> tuple[int, bytes]:
        """Returns a status, and the body that came with status 200."""
        path = f"{self._url.path.rstrip('/')}/{section_id}"
        with closing(self._connection()) as connection:
            connection.request("GET", path, headers=self._headers)
            with connection.getresponse() as response:
                if response.status != 200:
                    return response.status, b""
                if response.getheader("Content-Encoding", "identity") != "identity":
                    raise self._invalid(section_id, "it is compressed, which was not asked for")
                return 200, self._body(section_id, response)

    def _body(self, section_id: str, response: http.client.HTTPResponse) -> bytes:
        deadline = monotonic() + self._timeout
        announced = response.length
        body = bytearray()
        while chunk := response.read1(min(CHUNK, self._max_bytes + 1 - len(body))):
            body += chunk
            if len(body) > self._max_bytes:
                raise self._invalid(
                    section_id, f"it has over {self._max_bytes} bytes: ask for a smaller section"
                )
            if monotonic() > deadline:
                raise TimeoutError("the answer takes too long")
        if announced is not None and len(body) < announced:
            raise http.client.IncompleteRead(bytes(body[:0]), announced - len(body))
        return bytes(body)

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        return http.client.HTTPSConnection(
            host, port, timeout=self._timeout, context=self._ssl_context
        )

    def _invalid(self, section_id: str, why: str) -> RemoteLogError:
        return RemoteLogError(
            f"what {self._url.netloc} answers is not section {section_id} of its notification"
            f" log: {why}",
            status=200,
        )


def _checked_url(url: str) -> SplitResult:
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise ProgrammingError("the URL of a notification log has printable ASCII characters only")
    try:
        found = urlsplit(url)
        has_port = found.port is None or found.port > 0
    except ValueError:
        # Without its cause, which may show the URL, and so a password.
        raise ProgrammingError("the URL of the notification log cannot be read") from None
    is_http = found.scheme in ("http", "https") and bool(found.hostname) and has_port
    if not is_http or found.query or found.fragment:
        raise ProgrammingError(
            "the URL of a notification log looks like https://host/notifications"
        )
    if found.username is not None or found.password is not None:
        raise ProgrammingError("give a password in headers=, not in the URL")
    return found


def _checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not (_TOKEN.fullmatch(name) and value.isascii() and value.isprintable()):
            # Without the value, which may be a secret.
            raise ProgrammingError(f"the header {name!r} has characters that no header may have")
    return headers
