"""A throw-away Galera cluster: MariaDB nodes on loopback that all take writes.

Every node begins with a copy of the first one's files, so that no node has to send them to another
over the network, which would take programs that a machine need not have. A node that was killed
gets what it missed from the others' memory.
"""

import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from tests.servers.locate import galera_library
from tests.servers.mariadb import MariadbServer, connect
from tests.servers.process import free_port

__all__ = ["GaleraCluster", "GaleraNode"]

# A node asks the script of this name for all that another has, and tells from the other's answer
# that it can do with less. The nodes are on one machine, and hand that answer over as a file.
_SCRIPT_NAME = "wsrep_sst_test"
_SCRIPT = """#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
        --role) role=$2; shift;;
        --address) address=$2; shift;;
        --datadir) directory=$2; shift;;
        --gtid) position=$2; shift;;
        --bypass) is_enough=yes;;
    esac
    shift
done
if [ "$role" = joiner ]; then
    answer="${directory%/}/position-of-donor"
    rm -f "$answer"
    echo "ready $answer"
    until [ -e "$answer" ]; do sleep 0.05; done
    cat "$answer"
else
    [ "$is_enough" ] || exit 1
    echo "$position" > "$address.new"
    mv "$address.new" "$address"
    echo "done $position"
fi
"""
_POSITION = re.compile(r"Recovered position:\s*(\S+:-?\d+)")
_OPTIONS = (
    # A node that is gone is to be missed soon, and not after 5 to 15 seconds.
    "evs.inactive_check_period=PT0.1S;evs.keepalive_period=PT0.2S;evs.suspect_timeout=PT2S;"
    "evs.inactive_timeout=PT4S;evs.install_timeout=PT4S;gcache.size=64M;"
)


class GaleraNode(MariadbServer):
    """One node.

    Attributes:
        peers: the ports of all nodes for each other, this one's too. Nobody else is there if none
            are named: the node begins a cluster.
    """

    def __init__(self) -> None:
        super().__init__()
        self.cluster_port, self._transfer_port = free_port(), free_port()
        self.peers: Sequence[int] = ()
        self._position: str | None = None

    def command(self) -> list[str]:
        options = (
            f"base_port={self.cluster_port};"
            f"gmcast.listen_addr=tcp://127.0.0.1:{self.cluster_port};"
            f"ist.recv_addr=127.0.0.1:{self._transfer_port};{_OPTIONS}"
        )
        peers = ",".join(f"127.0.0.1:{port}" for port in self.peers)
        self._make_directory(self.directory / "bin")
        script = self.directory / "bin" / _SCRIPT_NAME
        script.write_text(_SCRIPT)
        script.chmod(0o755)
        command = [
            "/usr/bin/env",
            f"PATH={script.parent}:{os.environ['PATH']}",
            *super().command(),
            *_settings(),
            f"--wsrep-cluster-address=gcomm://{peers}",
            f"--wsrep-sst-method={_SCRIPT_NAME.removeprefix('wsrep_sst_')}",
            "--wsrep-cluster-name=eventsourcing-test",
            f"--wsrep-node-address=127.0.0.1:{self.cluster_port}",
            f"--wsrep-node-incoming-address=127.0.0.1:{self.port}",
            f"--wsrep-provider-options={options}",
        ]
        if self._position is not None:
            command.append(f"--wsrep-start-position={self._position}")
        return command

    def ping(self) -> None:
        with connect(self.address, "mysql", connect_timeout=5) as connection:
            cursor = connection.cursor()
            cursor.execute("SHOW STATUS LIKE 'wsrep_local_state_comment'")
            state = cursor.fetchone()
        if state is None or state[1] != "Synced":
            raise ConnectionError(f"the node is {state}")

    def log_in_as(self, other: MariadbServer) -> None:
        """Take another's password, whose files this one begins with."""
        self._password = other.address.password

    def rejoin(self) -> None:
        """Start the node, which was killed, and wait until it has what it missed."""
        log = self.directory / "recovered.err"
        log.unlink(missing_ok=True)
        self._position = None
        self.run([*self.command(), "--wsrep-recover", f"--log-error={log}"])
        found = _POSITION.search(log.read_text(errors="replace"))
        assert found, f"no position is told in {log}"
        self._position = found[1]
        self.start()


def _settings() -> list[str]:
    return [
        "--binlog-format=ROW",
        "--default-storage-engine=InnoDB",
        "--innodb-autoinc-lock-mode=2",
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-buffer-pool-size=64M",
        "--innodb-log-file-size=32M",
        "--max-connections=200",
        "--wsrep-retry-autocommit=0",  # a conflict of two nodes is always a deadlock
        "--wsrep-on=ON",
        f"--wsrep-provider={galera_library()}",
    ]


class GaleraCluster:
    """Three nodes, which run inside a ``with`` block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.nodes: list[GaleraNode] = []
        for _ in range(3):
            node = GaleraNode()
            self._stack.callback(node.close)
            self.nodes.append(node)
        for node in self.nodes:
            node.clean_up_after(self.nodes)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._start()
            undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        first, *others = self.nodes
        first.start()
        first.stop()
        for node in others:
            subprocess.run(["cp", "-a", first.data, node.data], check=True)
            (node.data / "galera.cache").unlink()
            node.log_in_as(first)
        state = first.data / "grastate.dat"
        state.write_text(state.read_text().replace("safe_to_bootstrap: 0", "safe_to_bootstrap: 1"))
        first.start()
        ports = [node.cluster_port for node in self.nodes]
        for node in others:
            node.peers = ports
            node.start()
        first.peers = ports
