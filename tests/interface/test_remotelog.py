"""The remote reader, and all that a server may answer."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from eventsourcing.exceptions import (
    InvalidSectionID,
    ProgrammingError,
    RemoteLogError,
    RemoteLogUnavailable,
)
from eventsourcing.interface.remotelog import RemoteSections
from eventsourcing.interface.sections import Section, SectionID, dump_section
from tests.interface.model import serving

SECTION = Section(SectionID(1, 10), [], True)
BODY = dump_section(SECTION)
SECRET = "Bearer 7c1f"

Reply = Callable[[BaseHTTPRequestHandler], None]


def reply(
    status: int = 200, body: bytes = BODY, length: int | None = None, **headers: str
) -> Reply:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


@contextmanager
def server(*replies: Reply) -> Iterator[tuple[str, list[Any]]]:
    """Give the URL of a server with an answer for each request in turn, the last one for all that
    come after; and the requests.
    """
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, dict(self.headers)))
            replies[min(len(requests), len(replies)) - 1](self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    with serving(Server(("127.0.0.1", 0), Handler)) as url:
        yield f"{url}/log", requests


def remote(url: str, **options: Any) -> RemoteSections:
    return RemoteSections(url, **{"first_pause": 0.001, "timeout": 5} | options)


def closes(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def talks_nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 smtp.example ESMTP\r\n")


def test_a_section_is_asked_for_where_the_log_is() -> None:
    with server(reply()) as (url, requests):
        found = remote(f"{url}/", headers={"Authorization": SECRET}).section("1,10")
    assert found == SECTION
    ((path, headers),) = requests
    assert (path, headers["Authorization"]) == ("/log/1,10", SECRET)


def test_the_current_section_may_be_any() -> None:
    with server(reply()) as (url, _):
        assert remote(url).section("current") == SECTION


def test_what_can_be_no_section_is_not_asked_for() -> None:
    with server(reply()) as (url, requests):
        for bad in ("../admin", "1,10?x", "1,10\r\nX: y", ""):
            with pytest.raises(InvalidSectionID):
                remote(url).section(bad)
    assert requests == []


PASSING = {
    "busy": reply(503, b""),
    "many requests": reply(429, b""),
    "failed": reply(500, b"x"),
    "a gateway": reply(502),
    "closed": closes,
    "nonsense": talks_nonsense,
    "cut": reply(length=len(BODY) + 1),
}


@pytest.mark.parametrize("first", PASSING.values(), ids=list(PASSING))
def test_what_passes_is_tried_again(first: Reply) -> None:
    with server(first, first, reply()) as (url, requests):
        assert remote(url).section("1,10") == SECTION
    assert len(requests) == 3


@pytest.mark.parametrize("always", PASSING.values(), ids=list(PASSING))
def test_what_does_not_pass_is_told_in_the_end(always: Reply) -> None:
    with server(always) as (url, requests), pytest.raises(RemoteLogUnavailable) as caught:
        remote(url, retries=2, headers={"Authorization": SECRET}).section("1,10")
    assert len(requests) == 3
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(RemoteLogUnavailable) as caught:
        remote(f"http://127.0.0.1:{port}", retries=1).section("1,10")
    assert caught.value.status is None


REFUSALS = {
    "unauthorized": (reply(401, b""), 401),
    "no such page": (reply(404, b""), 404),
    "a bad request": (reply(400, b"secret"), 400),
    "elsewhere": (reply(302, b"", Location="http://127.0.0.1:1/"), 302),
    "not modified": (reply(304, b""), 304),
    "no content": (reply(204, b""), 204),
    "no section": (reply(body=b"<html>"), 200),
    "another section": (reply(body=dump_section(Section(SectionID(11, 20), [], True))), 200),
    "compressed": (reply(Content_Encoding="gzip"), 200),
    "large": (reply(body=b" " * 1001), 200),
}


@pytest.mark.parametrize(("answer", "status"), REFUSALS.values(), ids=list(REFUSALS))
def test_what_will_not_get_better_is_tried_once(answer: Reply, status: int) -> None:
    with server(answer) as (url, requests), pytest.raises(RemoteLogError) as caught:
        remote(url, max_bytes=1000).section("1,10")
    assert (type(caught.value), caught.value.status) == (RemoteLogError, status)
    assert len(requests) == 1


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    sent = []

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * 65536)
            sent.append(65536)

    with server(endless) as (url, _), pytest.raises(RemoteLogError, match="smaller section"):
        remote(url, max_bytes=10**6).section("1,10")
    assert sum(sent) < 10**8


@pytest.mark.parametrize("is_dripping", [False, True], ids=["silent", "dripping"])
def test_a_slow_server_is_waited_for_only_so_long(is_dripping: bool) -> None:
    over = threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        if is_dripping:
            handler.send_response(200)
            handler.end_headers()
        while not over.wait(0.01):
            if is_dripping:
                handler.wfile.write(b" ")

    with server(slow) as (url, _):
        with pytest.raises(RemoteLogUnavailable) as caught:
            remote(url, timeout=0.1, retries=0).section("1,10")
        over.set()
    assert isinstance(caught.value.__cause__, TimeoutError)


def test_a_certificate_is_checked() -> None:
    with server(reply()) as (url, _), pytest.raises(RemoteLogUnavailable) as caught:
        remote(url.replace("http:", "https:"), retries=0).section("1,10")
    assert isinstance(caught.value.__cause__, ssl.SSLError)


BAD_URLS = [
    *("", "log", "/log", "ftp://h/log", "file:///etc/passwd", "http://", "http:///log"),
    *("http://h:x/", "http://h:0/", "http://h:99999/", "http://[::1/", "http://h/a b"),
    *("http://h/log?x=1", "http://h/log#x", "http://h/\r\nX: y", "http://é/"),
    *("http://user@h/", "http://user:7c1f@h/", "http://:7c1f@h:x/"),
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_url_of_no_log_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ProgrammingError) as caught:
        RemoteSections(url)
    assert "7c1f" not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": float("inf")},
        {"timeout": "1"},
        {"first_pause": -1},
        {"max_bytes": 0},
        {"retries": -1},
        {"retries": True},
        {"headers": {"X": "a\r\nY: b"}},
        {"headers": {"X: y": "a"}},
        {"headers": {"": "a"}},
    ],
    ids=str,
)
def test_an_argument_that_cannot_be_used_is_refused(options: Any) -> None:
    with pytest.raises(ProgrammingError):
        RemoteSections("http://h/", **options)
