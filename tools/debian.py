"""Unpack packages of a Debian-like distribution into a directory, installing nothing.

No root rights are needed and no maintainer script runs, so nothing on the machine changes or
starts: apt gets lists and a cache of its own, and ``dpkg -x`` unpacks what it downloads.
"""

import fcntl
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class CannotFetch(Exception):
    """A package is not to be had from the distribution, or there is no apt to ask."""


def unpacked(package: str, select: str) -> Path:
    """Return a directory that holds `package` unpacked, fetching it the first time.

    Args:
        package: A package's name, without a version.
        select: A regular expression for the names of the packages to unpack, out of `package` and
            those that installing it would add to this machine.

    Raises:
        CannotFetch: The distribution has no such package, or cannot be reached.
    """
    cache = cache_directory()
    target = cache / package
    with _locked(cache):
        if not target.exists():
            # Moved into place when complete, so that an interrupted run leaves nothing half done.
            with tempfile.TemporaryDirectory(dir=cache, prefix="fetch-") as work:
                root = Path(work, "root")
                root.mkdir()
                _fetch(package, select, Path(work), root)
                root.rename(target)
    return target


def cache_directory() -> Path:
    """Return where unpacked packages are kept; what root keeps, every user can read.

    Database servers refuse to run as root, so root starts them as another user.
    """
    if os.getuid() == 0:
        return Path("/var/cache/eventsourcing-tests")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "eventsourcing-tests")


def library_path(root: Path) -> str:
    """Return the LD_LIBRARY_PATH that programs unpacked below `root` need."""
    return ":".join(sorted({str(file.parent) for file in root.rglob("lib*.so.*")}))


def _fetch(package: str, select: str, work: Path, root: Path) -> None:
    downloads = work / "debs"
    for directory in (downloads, work / "lists/partial", work / "cache/archives/partial"):
        directory.mkdir(parents=True)
    own_state = (
        f"-oDir::State::Lists={work}/lists",
        f"-oDir::Cache={work}/cache",
        "-oAPT::Sandbox::User=root",
        "-oDebug::NoLocking=1",
    )
    # One unreachable source of several is no reason to stop: what is missing shows in the plan.
    _apt(downloads, *own_state, "update", check=False)
    plan = _apt(downloads, *own_state, "--simulate", "--no-install-recommends", "install", package)
    # New packages read "Inst name (version ...)", upgrades "Inst name [installed] (version ...)".
    wanted = [
        name
        for name in re.findall(r"^Inst (\S+) \(", plan, flags=re.MULTILINE)
        if re.fullmatch(select, name)
    ]
    if not wanted:
        raise CannotFetch(f"no package matching {select!r} among what installing {package} adds")
    _apt(downloads, *own_state, "download", *wanted)
    for archive in downloads.glob("*.deb"):
        subprocess.run(["dpkg", "-x", archive, root], check=True)
    root.chmod(0o755)


def _apt(directory: Path, *arguments: str, check: bool = True) -> str:
    command: Sequence[str] = ["apt-get", "-qq", *arguments]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotFetch("there is no apt-get on this machine to fetch packages with") from error
    if check and done.returncode:
        raise CannotFetch(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Let one process fetch at a time: workers of a test run ask for the same package at once."""
    directory.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0:
        directory.chmod(0o755)  # whatever root's umask
    with open(directory / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
