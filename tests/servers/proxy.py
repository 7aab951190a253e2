"""A TCP proxy in front of a server, that cuts a connection at a chosen point.

A :class:`Cut` is taken by the first connection on which a request comes by that holds its text,
or after such a request the answer that it waits for.
"""

import selectors
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Self

from tests.servers.address import Address

CHUNK = 65536


class Where(Enum):
    """Where a connection is cut."""

    BEFORE_REQUEST = "the server does not get the request"
    BEFORE_ANSWER = "the server does what is asked, and the client does not hear of it"


@dataclass(frozen=True)
class Cut:
    """Cut the connection on which a request holds `text`.

    Attributes:
        answer: if given, it is cut before the client gets an answer that holds this, to that
            request or to a later one, whose text may be unknown: that of a prepared statement.
    """

    text: bytes
    where: Where
    answer: bytes = b""


class Proxy:
    """Forwards to a server until it is told to cut. Listens while in a ``with`` block.

    Attributes:
        cuts: how many connections have been cut.
    """

    def __init__(self, server: Address) -> None:
        self.server = server
        self.cuts = 0
        self._planned: list[Cut] = []
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._is_refusing = False
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def port(self) -> int:
        """Where clients connect."""
        port: int = self._listener.getsockname()[1]
        return port

    def uri(self, database_uri: str) -> str:
        """Return the URI of a database of the server, by way of the proxy."""
        return database_uri.replace(f":{self.server.port}/", f":{self.port}/")

    def cut(self, *cuts: Cut) -> None:
        """Plan cuts, each of which happens once, in this order."""
        with self._lock:
            self._planned.extend(cuts)

    def refuse(self) -> None:
        """Take no further connections."""
        self._is_refusing = True

    def accept(self) -> None:
        """Take connections again."""
        self._is_refusing = False

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exception: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join()

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_refusing:
                client.close()
                continue
            try:
                server = socket.create_connection((self.server.host, self.server.port))
            except OSError:
                client.close()
                continue
            self._sockets |= {client, server}
            self._start(self._forward, client, server)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            asked = b""  # the text of a cut, once a request has held it
            while True:
                for key, _ in selector.select():
                    source = client if key.fileobj is client else server
                    data = source.recv(CHUNK)
                    if not data:
                        return
                    if source is client:
                        asked = self._text_in(data) or asked
                        where = self._due(data)
                    elif where := self._due(data, asked):
                        return
                    if where is not Where.BEFORE_REQUEST:
                        (server if source is client else client).sendall(data)
                    if where is Where.BEFORE_ANSWER:
                        server.recv(CHUNK)  # swallowed
                    if where is not None:
                        return
        self._sockets -= {client, server}

    def _text_in(self, request: bytes) -> bytes:
        with self._lock:
            is_held = bool(self._planned) and self._planned[0].text in request
            return self._planned[0].text if is_held else b""

    def _due(self, data: bytes, asked: bytes | None = None) -> Where | None:
        """Take the cut that comes next, if it is that of a request, or of an answer to `asked`."""
        with self._lock:
            if not self._planned:
                return None
            cut = self._planned[0]
            text, before = (cut.answer, cut.text) if cut.answer else (cut.text, None)
            if before != asked or text not in data:
                return None
            self.cuts += 1
            return self._planned.pop(0).where
