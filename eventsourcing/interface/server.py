"""A small server for a notification log, for this machine alone: it asks nobody who they are."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.interface.notificationlog import Sections
from eventsourcing.interface.web import SectionsWSGI

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

__all__ = ["SectionsServer"]

PATIENCE = 30  # seconds that a client may be silent


class SectionsServer(ThreadingMixIn, WSGIServer):
    """Serves a notification log to programs on this machine. A context manager.

    Call ``serve_forever``, which returns once another thread calls ``shutdown``. To serve other
    machines, mount the log in a web framework that knows who may read it.

    Args:
        sections: what to serve.
        port: 0 for any that is free; see :attr:`url`.
        host: an address of the loopback network.

    Raises:
        ProgrammingError: the host is no such address.
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, sections: Sections, port: int = 0, host: str = "127.0.0.1") -> None:
        if not _is_loopback(host):
            raise ProgrammingError(
                "a notification log that asks nobody who they are is served on 127.0.0.1 or ::1"
                " only; mount it in a web framework to serve it to others"
            )
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)
        self.set_app(_OnlyHere(SectionsWSGI(sections)))

    @property
    def url(self) -> str:
        """Where the log is."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    def server_bind(self) -> None:
        """Binds the socket, without looking the host's name up as the base class does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a client went away."""


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class _OnlyHere:
    """Refuses what was sent to another host's name: a page in a browser may have had the name
    of its own server point here, to read what it must not see.
    """

    def __init__(self, app: SectionsWSGI) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if _is_loopback(_host_of(environ.get("HTTP_HOST", "")), or_name=True):
            return self._app(environ, start_response)
        start_response("421 Misdirected Request", [("Content-Length", "0")])
        return [b""]


def _host_of(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.partition(":")[0]


def _is_loopback(host: str, or_name: bool = False) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return or_name and host.lower() == "localhost"
