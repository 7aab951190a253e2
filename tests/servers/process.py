"""One throw-away server process: start, stop, kill, start again on the same port."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Self

from tests.servers.address import Address
from tests.servers.guard import Orders, kill_tree
from tests.servers.locate import Program, server_account
from tests.servers.templates import begin

SECONDS_TO_START = 60.0
SECONDS_TO_STOP = 60.0

# The controller, in a worker of pytest-xdist. A worker whose controller was killed goes on with its
# test, however long that takes.
CONTROLLERS = [os.getppid()] if "PYTEST_XDIST_WORKER" in os.environ else []


class ServerFailed(Exception):
    """A server did not start or stop; the message ends with its log."""


class Server(ABC):
    """A database server with a directory, a port and a log of its own.

    As a context manager it is running inside the block, and gone with all its files afterwards.
    """

    stop_signal: ClassVar[signal.Signals]
    """Asks for an orderly shutdown that does not wait for clients."""

    quit_signal: ClassVar[signal.Signals]
    """Ends the server at once, without leaving anything behind outside its directory."""

    def __init__(
        self,
        program: Program,
        *,
        small_disk: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a server that is not running yet.

        Args:
            program: The server's program.
            small_disk: The size in bytes of a tmpfs, mounted on `small_disk_directory` whenever the
                server runs and empty each time it starts; None for no such disk.
            environment: Variables of the server, beside this process's own.
        """
        self.program = program
        self.account = server_account()
        self.directory = Path(tempfile.mkdtemp(prefix="eventsourcing-test-"))
        self.data = self.directory / "data"
        self.port = free_port()
        self.pid: int | None = None
        self._small_disk = small_disk
        self._environment = environment or {}
        self._guard: subprocess.Popen[bytes] | None = None
        self._others: list[Server] = []
        os.chown(self.directory, self.account.uid, self.account.gid)

    @property
    @abstractmethod
    def address(self) -> Address:
        """Where and as whom to connect."""

    @property
    @abstractmethod
    def small_disk_directory(self) -> Path:
        """Where the small disk is mounted, if there is one."""

    @abstractmethod
    def initialise(self) -> None:
        """Create the data directory."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground."""

    @abstractmethod
    def ping(self) -> None:
        """Connect and disconnect, or raise the driver's error."""

    @abstractmethod
    def small_database(self) -> str:
        """Return the name of a database on the small disk, creating it if necessary."""

    @property
    def is_running(self) -> bool:
        """Whether the server has been started and has not ended, by itself or otherwise."""
        return self._guard is not None and self._guard.poll() is None

    def clean_up(self) -> None:  # noqa: B027
        """Remove what the server, which has ended, left outside its directory."""

    def start(self) -> None:
        """Start the server, on the same port and data as before, and wait until it answers."""
        if self.is_running:
            raise self._failed("it is running already")
        if not self.data.exists():
            begin(self.program.path.name, self.data, self.initialise)
        small_disk = None
        if self._small_disk is not None:
            self._make_directory(self.small_disk_directory)
            small_disk = (str(self.small_disk_directory), self._small_disk)
        orders = Orders(
            command=self._in_environment(self.command()),
            directory=str(self.directory),
            uid=self.account.uid,
            gid=self.account.gid,
            quit_signal=self.quit_signal,
            test_run=[os.getpid(), *CONTROLLERS],
            small_disk=small_disk,
            others=[str(other.directory) for other in self._others],
        )
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.guard", orders.to_json()],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._guard.stdout
        with self._guard.stdout as answer:
            line = answer.readline()
        if not line:
            raise self._failed(f"its guard exited with {self._guard.wait()}")
        self.pid = int(line)
        self._wait_until_it_answers()

    def clean_up_after(self, others: "Sequence[Server]") -> None:
        """If the test run dies, have the guard remove the files of others too, which may be down
        and have none of their own then.
        """
        self._others = [other for other in others if other is not self]

    def stop(self) -> None:
        """Shut the server down in an orderly way, as an administrator would; clients are cut."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """Kill the server's processes with SIGKILL, all at one moment."""
        if self._guard is not None and self.pid is not None:
            with suppress(ProcessLookupError, FileNotFoundError):  # it has ended by itself
                kill_tree(self.pid)
            self._guard.wait(SECONDS_TO_STOP)
            self.pid = None

    def close(self) -> None:
        """End the server and remove its files; doing it twice does no harm."""
        self._end(self.quit_signal)
        self.clean_up()
        if self.directory.exists():
            shutil.rmtree(self.directory)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last `lines` lines that the server has logged."""
        log = self.directory / "log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def run(self, command: list[str], *, text: str = "") -> None:
        """Run a program of the server's to its end, as the user whom the server runs as."""
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        with open(self.directory / "log", "ab") as log:
            done = subprocess.run(
                command, input=text.encode(), stdout=log, stderr=log, cwd=self.directory, **account
            )
        if done.returncode:
            raise self._failed(f"{command} exited with {done.returncode}")

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _wait_until_it_answers(self) -> None:
        assert self._guard
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                return self.ping()
            except Exception as error:  # whatever the driver calls it
                if self._guard.poll() is not None:
                    self.pid = None
                    raise self._failed(f"it exited with {self._guard.returncode}") from error
                if time.monotonic() > deadline:
                    raise self._failed(f"no answer within {SECONDS_TO_START} s") from error
            time.sleep(0.02)

    def _end(self, how: signal.Signals) -> None:
        if self._guard is None or self.pid is None:
            return
        if self.is_running:
            with suppress(ProcessLookupError):
                os.kill(self.pid, how)
            try:
                self._guard.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                self.kill()
                raise self._failed(f"it went on for {SECONDS_TO_STOP} s after {how.name}") from None
        self.pid = None

    def _in_environment(self, command: list[str]) -> list[str]:
        variables = [f"{name}={value}" for name, value in self._environment.items()]
        return ["/usr/bin/env", *variables, *command] if variables else command

    def _make_directory(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        os.chown(directory, self.account.uid, self.account.gid)

    def _failed(self, what: str) -> ServerFailed:
        log = self.log_tail() if (self.directory / "log").exists() else "(no log)"
        return ServerFailed(f"{type(self).__name__}: {what}\n{log}")


def free_port() -> int:
    """Return a loopback port that nobody listens on.

    It is below the range from which the system takes clients' ports: while a server is down, a
    client must not be given its port, nor connect to itself there.
    """
    while True:
        port = random.SystemRandom().randrange(15_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
