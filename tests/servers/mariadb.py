"""A throw-away MariaDB server, and databases on any MariaDB or MySQL server."""

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymysql
from pymysql.connections import Connection

from tests.servers.address import Address
from tests.servers.locate import mariadbd
from tests.servers.process import Server
from tests.servers.templates import password

USER = "eventsourcing"


class MariadbServer(Server):
    """MariaDB with its default settings."""

    stop_signal = signal.SIGTERM
    quit_signal = signal.SIGKILL  # it keeps nothing outside its directory

    def __init__(
        self, *, small_disk: int | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(mariadbd(), small_disk=small_disk, environment=environment)
        self._password = password()

    @property
    def address(self) -> Address:
        return Address("mysql", "127.0.0.1", self.port, USER, self._password)

    @property
    def small_disk_directory(self) -> Path:
        return self.data / self.small_database()

    def initialise(self) -> None:
        # What mariadb-install-db does, less the help tables and with one user for the tests.
        self._make_directory(self.data)
        scripts = (
            "mysql_system_tables.sql",
            "mysql_performance_tables.sql",
            "mysql_system_tables_data.sql",
        )
        statements = [
            "CREATE DATABASE mysql;",
            "USE mysql;",
            *((self._share / script).read_text() for script in scripts),
            "FLUSH PRIVILEGES;",
            f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{self._password}';",
            f"GRANT ALL ON *.* TO {USER}@'127.0.0.1' WITH GRANT OPTION;",
        ]
        self.run([*self._command(), "--bootstrap"], text="\n".join(statements))

    def command(self) -> list[str]:
        return [
            *self._command(),
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
        ]

    def ping(self) -> None:
        connect(self.address, "mysql", connect_timeout=5).close()

    def small_database(self) -> str:
        # A directory below the data directory is a database, so the disk itself is one.
        return "small"

    def _command(self) -> list[str]:
        return self.program.command(
            "--no-defaults",
            f"--basedir={self.program.root / 'usr'}",
            f"--lc-messages-dir={self._share}",
            f"--datadir={self.data}",
            f"--tmpdir={self.directory}",
            f"--socket={self.directory}/socket",
            f"--pid-file={self.directory}/pid",
        )

    @property
    def _share(self) -> Path:
        """The server's own SQL scripts and messages."""
        prefix = self.program.path.parents[1]
        for share in (prefix / "share/mysql", prefix / "share/mariadb", prefix / "share"):
            if (share / "mysql_system_tables.sql").exists():
                return share
        raise FileNotFoundError(f"mysql_system_tables.sql is in no share directory below {prefix}")


def connect(address: Address, database: str, **options: Any) -> "Connection[Any]":
    """Connect with the bare driver."""
    return pymysql.connect(**connect_arguments(address, database), **options)


def connect_arguments(address: Address, database: str) -> dict[str, Any]:
    """Return the arguments of ``pymysql.connect``."""
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "database": database,
        "charset": "utf8mb4",
    }


def empty_database(address: Address, name: str) -> None:
    """Create a database, or remove all that it holds and whoever still holds on to it."""
    with connect(address, "mysql") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", [name])
        for (process,) in cursor.fetchall():
            try:
                cursor.execute("KILL CONNECTION %s", [process])
            except pymysql.err.OperationalError:
                continue  # it has just left
        cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
        cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
