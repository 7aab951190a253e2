"""The notification log over HTTP: what is answered, by real servers and mounted in frameworks."""

import http.client
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.validate import validator

import pytest
import uvicorn
from fastapi import FastAPI, Request
from flask import Flask
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from eventsourcing.application.simple import SimpleApplication
from eventsourcing.exceptions import DatabaseUnavailable, DataIntegrityError, ProgrammingError
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager
from eventsourcing.infrastructure.sqlalchemy.resealing import reseal
from eventsourcing.interface.notificationlog import LocalSections, NotificationLogReader
from eventsourcing.interface.remotelog import RemoteSections
from eventsourcing.interface.sections import Section, load_section
from eventsourcing.interface.server import SectionsServer
from eventsourcing.interface.web import Answer, SectionsASGI, SectionsHTTP, SectionsWSGI
from eventsourcing.utils.cipher import CipherKey
from tests.interface.model import compared, serving, store, store_of_each_kind

ARCHIVED = "private, max-age=31536000, immutable"


@pytest.fixture
def app() -> Iterator[SimpleApplication]:
    with SimpleApplication(record_manager=MemoryRecordManager()) as app:
        store_of_each_kind(app)
        yield app


@pytest.fixture
def sections(app: SimpleApplication) -> LocalSections:
    return LocalSections(app.notification_log, section_size=10)


@pytest.fixture
def http_app(sections: LocalSections) -> SectionsHTTP:
    return SectionsHTTP(sections)


def header(answer: Answer, name: str) -> str | None:
    return dict(answer.headers).get(name)


# -- answers


def test_an_archived_section_may_be_kept_for_ever(http_app: SectionsHTTP) -> None:
    answer = http_app.respond("GET", "/1,10")
    assert (answer.status, header(answer, "Cache-Control")) == (200, ARCHIVED)
    assert header(answer, "Content-Type") == "application/json"
    assert load_section(answer.body).is_archived


def test_many_may_share_it_where_that_is_allowed(sections: LocalSections) -> None:
    answer = SectionsHTTP(sections, is_public=True).respond("GET", "/1,10")
    assert header(answer, "Cache-Control") == "public, max-age=31536000, immutable"


def test_what_may_be_encrypted_anew_has_to_be_asked_for_again(tmp_path: Path) -> None:
    """The key of what a cache keeps may be taken away."""
    uri = f"sqlite:///{tmp_path / 'events.db'}"
    old, new = CipherKey.new("old"), CipherKey.new("new")
    with SimpleApplication(uri, cipher_key=old.text) as app:
        store(app, 10)
        http_app = SectionsHTTP(LocalSections(app.notification_log, section_size=10))
        first = http_app.respond("GET", "/1,10")
    assert header(first, "Cache-Control") == "private, no-cache"
    with SimpleApplication(uri, cipher_key=f"{new.text} {old.text}") as app:
        http_app = SectionsHTTP(LocalSections(app.notification_log, section_size=10))
        assert http_app.respond("GET", "/1,10", header(first, "ETag")).status == 304
        manager, protection = app.event_store.record_manager, app.event_store.mapper.protection
        assert isinstance(manager, SQLAlchemyRecordManager)
        assert protection is not None
        reseal(manager, protection)
        assert http_app.respond("GET", "/1,10", header(first, "ETag")).status == 200


@pytest.mark.parametrize("path", ["/current", "/11,20", "/11,15", "/21,30"])
def test_what_is_not_archived_has_to_be_asked_for_again(http_app: SectionsHTTP, path: str) -> None:
    answer = http_app.respond("GET", path)
    is_archived = path == "/11,15"
    assert load_section(answer.body).is_archived == is_archived
    assert header(answer, "Cache-Control") == (ARCHIVED if is_archived else "no-cache")


@pytest.mark.parametrize("path", ["/1,10", "/current"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x",W/{} , "y"', "*"])
def test_what_the_client_has_is_not_sent_again(
    http_app: SectionsHTTP, path: str, form: str
) -> None:
    first = http_app.respond("GET", path)
    answer = http_app.respond("GET", path, form.format(header(first, "ETag")))
    assert (answer.status, answer.body) == (304, b"")
    for name in ("ETag", "Cache-Control"):
        assert header(answer, name) == header(first, name)


@pytest.mark.parametrize("tag", ["", '""', '"x"', "x", "W/", ","])
def test_what_the_client_has_not_is_sent(http_app: SectionsHTTP, tag: str) -> None:
    assert http_app.respond("GET", "/1,10", tag).status == 200


def test_a_current_section_has_another_tag_once_there_is_more(
    app: SimpleApplication, http_app: SectionsHTTP
) -> None:
    before = http_app.respond("GET", "/current")
    store(app, 1)
    answer = http_app.respond("GET", "/current", header(before, "ETag"))
    assert (answer.status, len(load_section(answer.body).items)) == (200, 9)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/0,9", 400), ("/1,11", 400), ("/<script>", 400), ("/1,10\r\n", 400), ("/..", 400)),
        *(("", 404), ("/", 404), ("/1,10/", 404), ("//1,10", 404), ("/../../etc/passwd", 404)),
    ],
)
def test_what_is_no_section_is_refused(http_app: SectionsHTTP, path: str, status: int) -> None:
    answer = http_app.respond("GET", path)
    assert (answer.status, header(answer, "Cache-Control")) == (status, "no-store")
    assert len(path) < 4 or path.encode() not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", ""])
def test_other_methods_are_refused(http_app: SectionsHTTP, method: str) -> None:
    answer = http_app.respond(method, "/1,10")
    assert (answer.status, header(answer, "Allow")) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/1,10", "/0,9"])
def test_head_is_answered_as_get_without_the_body(http_app: SectionsHTTP, path: str) -> None:
    assert http_app.respond("HEAD", path) == http_app.respond("GET", path)._replace(body=b"")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DatabaseUnavailable("host db7c1f"), 503),
        (DataIntegrityError("position 5 db7c1f"), 500),
        (ZeroDivisionError("db7c1f"), 500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_tells_the_client_nothing(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def section(self, section_id: str) -> Section:
            raise error

    with caplog.at_level(logging.ERROR):
        answer = SectionsHTTP(Failing()).respond("GET", "/current")
    assert answer.status == status
    assert b"db7c1f" not in answer.body
    assert type(error).__name__ in caplog.text
    assert ("db7c1f" in caplog.text) == (status == 503 or isinstance(error, DataIntegrityError))


def test_a_closed_application_is_unavailable(
    app: SimpleApplication, http_app: SectionsHTTP
) -> None:
    app.close()
    answer = http_app.respond("GET", "/current")
    assert (answer.status, header(answer, "Retry-After")) == (503, "1")


# -- servers


@contextmanager
def uvicorn_serving(app: Any) -> Iterator[str]:
    """Run uvicorn in a thread; give its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def flask_with(sections: LocalSections) -> Any:
    flask = Flask(__name__)
    flask.get("/")(lambda: "the rest")
    log = SectionsWSGI(sections)
    flask.wsgi_app = DispatcherMiddleware(flask.wsgi_app, {"/log": log})  # type: ignore[method-assign]
    return flask


def fastapi_with(sections: LocalSections) -> Any:
    api = FastAPI()
    api.mount("/log", SectionsASGI(sections))
    return api


@contextmanager
def werkzeug_serving(app: Any) -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    with serving(make_server("127.0.0.1", 0, app, threaded=True)) as url:
        yield url


@pytest.fixture(params=["wsgiref", "uvicorn", "flask", "fastapi", "starlette"])
def url(request: pytest.FixtureRequest, sections: LocalSections) -> Iterator[str]:
    """Where a server of each kind, or a framework on it, has the log."""
    kind = request.param
    if kind == "wsgiref":
        server = SectionsServer(sections)
        server.set_app(validator(SectionsWSGI(sections)))
        running, path = serving(server), ""
    elif kind == "flask":
        running, path = werkzeug_serving(flask_with(sections)), "/log"
    elif kind == "uvicorn":
        running, path = uvicorn_serving(SectionsASGI(sections)), ""
    elif kind == "fastapi":
        running, path = uvicorn_serving(fastapi_with(sections)), "/log"
    else:
        routes = [Mount("/a", routes=[Mount("/log", SectionsASGI(sections))])]
        running, path = uvicorn_serving(Starlette(routes=routes)), "/a/log"
    with running as base:
        yield base + path


def ask(
    url: str, path: str = "", method: str = "GET", **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=30)) as connection:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, parts.path + path, headers=names)
        with connection.getresponse() as response:
            return response.status, response.headers, response.read()


def test_a_remote_reader_reads_all_from_each_server(app: SimpleApplication, url: str) -> None:
    reader = NotificationLogReader(RemoteSections(url), section_size=10)
    assert compared(reader.read()) == compared(app.notification_log.select())


def test_each_server_sends_what_was_answered(http_app: SectionsHTTP, url: str) -> None:
    status, headers, body = ask(url, "/1,10")
    expected = http_app.respond("GET", "/1,10")
    assert (status, body) == (200, expected.body)
    assert {name: headers[name] for name, _ in expected.headers} == dict(expected.headers)
    assert ask(url, "/1,10", If_None_Match=headers["ETag"])[0] == 304
    status, headers, body = ask(url, "/1,10", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(expected.body)), b"")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/0,9", 400), ("GET", "/a/b", 404), ("GET", "/%00", 400), ("POST", "/1,10", 405)],
)
def test_each_server_refuses(url: str, method: str, path: str, status: int) -> None:
    assert ask(url, path, method)[0] == status


def test_a_framework_decides_who_may_read(sections: LocalSections) -> None:
    api = FastAPI()
    api.mount("/log", SectionsASGI(sections))

    @api.middleware("http")
    async def only_with_a_key(request: Request, call_next: Any) -> Any:
        if request.headers.get("Authorization") != "Bearer 7c1f":
            return Response(status_code=401)
        return await call_next(request)

    with uvicorn_serving(api) as base:
        assert ask(f"{base}/log/1,10")[0] == 401
        remote = RemoteSections(f"{base}/log", headers={"Authorization": "Bearer 7c1f"})
        assert remote.section("1,10").is_archived


def test_what_is_no_request_over_http_is_closed(sections: LocalSections) -> None:
    with TestClient(SectionsASGI(sections)) as client:
        assert client.get("/current").status_code == 200
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/current"):
            pass


# -- the server of its own


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "192.0.2.1", "localhost", "example.com"])
def test_it_listens_on_no_other_address(sections: LocalSections, host: str) -> None:
    with pytest.raises(ProgrammingError, match=r"127\.0\.0\.1"):
        SectionsServer(sections, host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_it_says_where_it_listens(sections: LocalSections, host: str) -> None:
    with SectionsServer(sections, host=host) as server:
        assert server.url == f"http://{host}:{server.server_port}"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]:80", "10.0.0.1"]
)
def test_a_page_of_another_host_cannot_read_it(sections: LocalSections, host: str) -> None:
    with serving(SectionsServer(sections)) as url:
        status, _, body = ask(url, "/1,10", Host=host)
    assert (status, body) == (421, b"")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]:80"])
def test_names_of_this_machine_are_let_pass(sections: LocalSections, host: str) -> None:
    with serving(SectionsServer(sections)) as url:
        assert ask(url, "/1,10", Host=host)[0] == 200


def test_a_client_that_goes_away_does_no_harm(
    sections: LocalSections, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(SectionsServer(sections)) as url:
        with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as client:
            client.sendall(b"GET /1,10 HTTP/1.1\r\n")
        assert ask(url, "/1,10")[0] == 200
        json.loads(ask(url, "/current")[2])
    assert capfd.readouterr() == ("", "")
