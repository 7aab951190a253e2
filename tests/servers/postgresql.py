"""A throw-away PostgreSQL server, and databases on any PostgreSQL server."""

import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.servers.address import Address
from tests.servers.locate import postgres
from tests.servers.process import Server
from tests.servers.tmpfs import call_libc

USER = "eventsourcing"
IPC_RMID = 0


class PostgresqlServer(Server):
    """PostgreSQL with its default durability: a commit is on disk when it is acknowledged."""

    stop_signal = signal.SIGINT  # "fast": disconnect clients, write a checkpoint, exit
    quit_signal = signal.SIGQUIT  # "immediate", but shared memory is given back

    def __init__(
        self, *, small_disk: int | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(postgres(), small_disk=small_disk, environment=environment)

    @property
    def address(self) -> Address:
        return Address("postgresql", "127.0.0.1", self.port, USER)

    @property
    def small_disk_directory(self) -> Path:
        return self.directory / "small"

    def initialise(self) -> None:
        options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C.UTF-8"]
        self.run(
            self.program.command(
                f"--pgdata={self.data}", *options, "--no-sync", "--no-instructions", name="initdb"
            )
        )

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 200,
            "max_prepared_transactions": 10,
            "dynamic_shared_memory_type": "mmap",  # else a killed one leaves some in /dev/shm
            "jit": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self.program.command("-D", self.data, *options)

    def clean_up(self) -> None:
        # After a SIGKILL, the seventh line of this file tells the key and the id of a shared memory
        # segment that is still there. Started again, the server would have removed it.
        lock = self.data / "postmaster.pid"
        lines = lock.read_text().splitlines() if lock.exists() else []
        if len(lines) > 6:
            _, segment = lines[6].split()
            with suppress(OSError):  # somebody else was tidy
                call_libc("shmctl", int(segment), IPC_RMID, None)

    def ping(self) -> None:
        connect(self.address, "postgres", connect_timeout=5).close()

    def small_database(self) -> str:
        # Only this tablespace is on the small disk: without room for its log, PostgreSQL stops.
        location = sql.Literal(str(self.small_disk_directory))
        with connect(self.address, "postgres", autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(location))
            connection.execute("CREATE DATABASE small TABLESPACE small")
        return "small"


def connect(address: Address, database: str, **options: Any) -> psycopg.Connection[Any]:
    """Connect with the bare driver."""
    return psycopg.connect(**connect_arguments(address, database), **options)


def connect_arguments(address: Address, database: str) -> dict[str, Any]:
    """Return the arguments of ``psycopg.connect``."""
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password or None,
        "dbname": database,
    }


def empty_database(address: Address, name: str) -> None:
    """Create a database, or remove all that it holds and whoever still holds on to it."""
    with connect(address, "postgres", autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if not known.fetchone():
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(
                    sql.Identifier(name)
                )
            )
            return
    with connect(address, name, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        prepared = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
        for (gid,) in connection.execute(prepared).fetchall():
            connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))
        schemas = (
            "SELECT nspname FROM pg_namespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        )
        for (schema,) in connection.execute(schemas).fetchall():
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        connection.execute("CREATE SCHEMA public")
