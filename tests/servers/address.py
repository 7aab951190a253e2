"""Where a database server is, and as whom to log in."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, unquote, urlsplit


@dataclass(frozen=True)
class Address:
    """A server's address, without a database's name."""

    scheme: str
    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)

    @classmethod
    def from_uri(cls, uri: str, default_port: int) -> Self:
        """Read ``scheme://user:password@host:port/``; what follows is ignored."""
        parts = urlsplit(uri)
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "127.0.0.1",
            port=parts.port or default_port,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )

    def uri(self, database: str) -> str:
        """Return the URI of one database of the server, for the library under test."""
        user = quote(self.user, safe="")
        if self.password:
            user += ":" + quote(self.password, safe="")
        return f"{self.scheme}://{user}@{self.host}:{self.port}/{database}"
