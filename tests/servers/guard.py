"""Run a server as a child, and end it when the test run is gone, however it went.

The test run cannot clean up after a SIGKILL of its own, so this small process stands between: it
waits for whichever ends first. It prints the server's process id. `process` starts it.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.tmpfs import call_libc, mount_tmpfs

PR_SET_CHILD_SUBREAPER = 36
SECONDS_TO_QUIT = 5.0


@dataclass(frozen=True)
class Orders:
    """What to run, and how to end it.

    Attributes:
        directory: The server's files, removed if the test run dies.
        quit_signal: Tells the server to exit at once, leaving nothing behind outside `directory`.
        test_run: The processes of the test run, the guard's parent first; one that ends ends all.
        small_disk: Where to mount a tmpfs for the server, and its size in bytes.
        others: What else is removed if the test run dies: files of servers that are down.
    """

    command: list[str]
    directory: str
    uid: int
    gid: int
    quit_signal: int
    test_run: list[int]
    small_disk: tuple[str, int] | None
    others: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """Return the orders as one command line argument."""
        return json.dumps(asdict(self))


def main(orders: Orders) -> int:
    """Run the server until it and all its children exit, or the test run does."""
    test_run = [os.pidfd_open(process) for process in orders.test_run]
    if os.getppid() != orders.test_run[0]:
        return 1
    if orders.small_disk:
        place, size = orders.small_disk
        mount_tmpfs(size, Path(place), orders.uid, orders.gid)
    # A server's children that outlive it become ours, so that we can wait for them: they still have
    # hold of its port, files and memory.
    call_libc("prctl", PR_SET_CHILD_SUBREAPER, 1)
    server = _start(orders)
    print(server.pid, flush=True)  # noqa: T201
    ended, _, _ = select.select([*test_run, os.pidfd_open(server.pid)], [], [])
    test_run_ended = bool(set(ended) & set(test_run))
    if test_run_ended:
        server.send_signal(orders.quit_signal)
        try:
            server.wait(SECONDS_TO_QUIT)
        except subprocess.TimeoutExpired:
            kill_tree(server.pid)
    status = server.wait()
    _wait_for_orphans()
    if test_run_ended:
        for directory in (orders.directory, *orders.others):
            shutil.rmtree(directory, ignore_errors=True)
    return status


def _start(orders: Orders) -> subprocess.Popen[bytes]:
    # Only root may change its user; a session of its own keeps Ctrl-C away from the server.
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = {"user": orders.uid, "group": orders.gid, "extra_groups": []}
    with open(Path(orders.directory, "log"), "ab") as log:
        return subprocess.Popen(
            orders.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=orders.directory,
            start_new_session=True,
            **account,
        )


def _wait_for_orphans() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def kill_tree(pid: int) -> None:
    """Send SIGKILL to a process and its children at one moment, and wait until all are gone."""
    os.kill(pid, signal.SIGSTOP)  # lest it start another child
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    handles = []
    for process in [pid, *map(int, children)]:
        try:
            handles.append(os.pidfd_open(process))
        except ProcessLookupError:
            continue
    for handle in handles:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    for handle in handles:
        select.select([handle], [], [])
        os.close(handle)


if __name__ == "__main__":
    sys.exit(main(Orders(**json.loads(sys.argv[1]))))
