"""How large a packet MariaDB takes. Its default of 16 MB is not enough for an event of 16 MB."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.backends import Backend


@contextmanager
def packet_limit(mariadb: Backend, size: int) -> Iterator[None]:
    """Set the largest packet, in bytes, that the server takes on connections made from now on."""
    with closing(mariadb.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        (before,) = cursor.fetchone()
        cursor.execute("SET GLOBAL max_allowed_packet = %s", [size])
        try:
            yield
        finally:
            cursor.execute("SET GLOBAL max_allowed_packet = %s", [before])
