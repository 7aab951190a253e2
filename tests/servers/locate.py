"""Find the programs of a database server on this machine, or fetch the distribution's packages."""

import os
import pwd
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.debian import library_path, unpacked

# Large libraries that only plug-ins use which no test loads.
NOT_NEEDED = r"(?!libllvm|libz3|.*perl)"


@dataclass(frozen=True)
class Program:
    """A server's program, and the directory tree that its own files and libraries are in."""

    path: Path
    root: Path = Path("/")

    def command(self, *arguments: str | Path, name: str | None = None) -> list[str]:
        """Return the command that runs it, or its neighbour `name`, with its own libraries."""
        path = self.path.with_name(name) if name else self.path
        command = [str(path), *map(str, arguments)]
        if self.root == Path("/"):
            return command
        return ["/usr/bin/env", f"LD_LIBRARY_PATH={library_path(self.root)}", *command]


@dataclass(frozen=True)
class Account:
    """Whom a server runs as."""

    uid: int
    gid: int


def server_account() -> Account:
    """Return this process's own account or, for root, that of a user without privileges.

    PostgreSQL refuses to run as root.
    """
    if os.getuid() != 0:
        return Account(os.getuid(), os.getgid())
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise LookupError("root needs a user named postgres or nobody to run database servers as")


def postgres() -> Program:
    """Return PostgreSQL's server program, which has ``initdb`` and ``pg_dump`` beside it."""
    places = ["usr/local/pgsql/bin", "usr/lib/postgresql/*/bin", "usr/pgsql-*/bin"]
    for path in _candidates("postgres", places, Path("/")):
        if path.with_name("initdb").exists():
            return Program(path)
    root = unpacked("postgresql", rf"postgresql-(client-)?\d+|{NOT_NEEDED}lib.*")
    return Program(next(_candidates("postgres", places, root)), root)


def mariadbd() -> Program:
    """Return MariaDB's server program."""
    places = ["usr/local/mysql/bin", "usr/sbin", "usr/libexec"]
    for path in _candidates("mariadbd", places, Path("/")):
        return Program(path)
    root = unpacked("mariadb-server-core", rf"mariadb-server-core|{NOT_NEEDED}lib.*")
    return Program(next(_candidates("mariadbd", places, root)), root)


def mariadb_client() -> Program:
    """Return MariaDB's client program, which has ``mariadb-dump`` beside it."""
    places = ["usr/local/mysql/bin", "usr/bin"]
    for path in _candidates("mariadb", places, Path("/")):
        return Program(path)
    root = unpacked("mariadb-client", rf"mariadb-client(-core)?|{NOT_NEEDED}lib.*")
    return Program(next(_candidates("mariadb", places, root)), root)


def galera_library() -> Path:
    """Return the library by which MariaDB servers form a Galera cluster."""
    places = ["usr/lib", "usr/lib/galera", "usr/lib64/galera-4", "usr/lib/*/galera"]
    for path in _candidates("libgalera_smm.so", places, Path("/")):
        return path
    root = unpacked("galera-4", "galera-4")
    return next(_candidates("libgalera_smm.so", places, root))


def faketime_library() -> Path:
    """Return the library that gives a program another clock, if it is loaded before all others."""
    name = "libfaketimeMT.so.1"
    places = ["usr/lib/faketime", "usr/lib64/faketime", "usr/lib/*/faketime"]
    for path in _candidates(name, places, Path("/")):
        return path
    return next(_candidates(name, places, unpacked("libfaketime", "libfaketime")))


def _candidates(name: str, places: Sequence[str], root: Path) -> Iterator[Path]:
    if root == Path("/") and (found := shutil.which(name)):
        yield Path(found).resolve()
    for place in places:
        yield from sorted(root.glob(f"{place}/{name}"), reverse=True)
