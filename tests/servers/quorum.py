"""A throw-away PostgreSQL cluster on loopback: a primary and two standbys.

A commit is acknowledged when one standby has it too, whichever it is (quorum commit). What an
operator or a program such as Patroni does when the primary is gone is done here by the test.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self
from urllib.parse import quote

from psycopg import sql
from psycopg.abc import Query

from tests.servers.postgresql import USER, PostgresqlServer, connect

__all__ = ["QuorumCluster", "QuorumNode"]

SECONDS_TO_WAIT = 30.0


class QuorumNode(PostgresqlServer):
    """One node, by the name under which its primary knows it.

    Args:
        needs: of how many standbys a commit waits for the answer.
    """

    def __init__(self, name: str, needs: int) -> None:
        super().__init__()
        self.name = name
        self._needs = needs

    def command(self) -> list[str]:
        # Every process here may be killed, but not the machine: what is written is there.
        settings = {
            "cluster_name": self.name,
            "synchronous_standby_names": f"ANY {self._needs} (n1, n2, n3)" if self._needs else "",
            "synchronous_commit": "on",
            "fsync": "off",
            "wal_level": "replica",
            "max_wal_senders": 8,
            "wal_keep_size": "64MB",
            "min_wal_size": "32MB",
            "wal_retrieve_retry_interval": "100ms",
            "shared_buffers": "16MB",
        }
        return [*super().command(), *(f"--{name}={value}" for name, value in settings.items())]

    def query(self, statement: Query) -> list[Any]:
        """Execute a statement outside a transaction, and return its rows."""
        with connect(self.address, "postgres", autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def begin_as_copy_of(self, primary: "QuorumNode") -> None:
        """Replace all files by the primary's, and follow it."""
        self.clean_up()
        shutil.rmtree(self.data, ignore_errors=True)
        self.run(
            self.program.command(
                *("-h", "127.0.0.1", "-p", str(primary.port), "-U", USER, "-D", self.data),
                *("--checkpoint=fast", "--wal-method=stream", "--no-sync"),
                name="pg_basebackup",
            )
        )
        (self.data / "standby.signal").touch()
        with open(self.data / "postgresql.auto.conf", "a") as settings:
            settings.write(f"primary_conninfo = '{self._conninfo(primary)}'\n")
        self.start()

    def follow(self, primary: "QuorumNode | None") -> None:
        """Follow another primary; or nobody, and take nothing more from the one until now."""
        conninfo = "" if primary is None else self._conninfo(primary)
        self.query(sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(sql.Literal(conninfo)))
        self.query("SELECT pg_reload_conf()")

    def is_following(self) -> bool:
        """Tell whether the node gets what a primary writes."""
        return bool(self.query("SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"))

    def received(self) -> int:
        """Return up to which byte the node has what its primary wrote."""
        ((found,),) = self.query("SELECT pg_wal_lsn_diff(pg_last_wal_receive_lsn(), '0/0')")
        return int(found)

    def _conninfo(self, primary: "QuorumNode") -> str:
        return (
            f"host=127.0.0.1 port={primary.port} user={USER} application_name={self.name}"
            " connect_timeout=2"
        )


class QuorumCluster:
    """Three nodes, which run inside a ``with`` block.

    Args:
        needs: of how many standbys a commit waits for the answer: 1, or none.
    """

    def __init__(self, needs: int = 1) -> None:
        self._stack = ExitStack()
        self.nodes: list[QuorumNode] = []
        for name in ("n1", "n2", "n3"):
            node = QuorumNode(name, needs)
            self._stack.callback(node.close)
            self.nodes.append(node)
        for node in self.nodes:
            node.clean_up_after(self.nodes)
        self.primary = self.nodes[0]

    @property
    def standbys(self) -> list[QuorumNode]:
        """The running nodes but the primary."""
        return [node for node in self.nodes if node is not self.primary and node.is_running]

    def uri(self, database: str) -> str:
        """Return the URI by which an application finds the primary, whichever node that is."""
        hosts = "&".join(f"host={quote(f'127.0.0.1:{node.port}')}" for node in self.nodes)
        return f"postgresql://{USER}@/{database}?{hosts}&target_session_attrs=read-write"

    def fail_over(self) -> None:
        """Promote the standby that has the most, after the primary was killed, and make another
        standby of the old primary, from a new copy: what it alone has is gone.
        """
        old = self.primary
        assert not old.is_running
        first, second = self.standbys
        wait_until(lambda: not (first.is_following() or second.is_following()))
        ahead, behind = sorted((first, second), key=lambda node: -node.received())
        ahead.query("SELECT pg_promote()")
        self.primary = ahead
        behind.follow(ahead)
        old.begin_as_copy_of(ahead)
        wait_until(lambda: all(node.is_following() for node in self.standbys))

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._start()
            undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.primary.start()
        for node in self.nodes[1:]:
            node.begin_as_copy_of(self.primary)
        wait_until(lambda: all(node.is_following() for node in self.standbys))


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it did not come about within {SECONDS_TO_WAIT} s")
        time.sleep(0.02)
