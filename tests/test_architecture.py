"""The rules that keep the layers apart, and each rule's control: a source that breaks it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "eventsourcing"
ADAPTER = "eventsourcing.infrastructure.sqlalchemy"
MOST_LINES = 400
ERRORS = f"{PACKAGE}.exceptions"  # is the whole tree of errors, however many there are

# A module may import from its own layer and from those before it.
LAYERS = ("exceptions", "utils", "domain", "infrastructure", "application", "interface")


@dataclass(frozen=True)
class Module:
    """A module of the library, read but not imported."""

    name: str
    source: str
    is_package: bool = False

    @property
    def layer(self) -> int:
        """The position in LAYERS; -1 for the top package, which every import loads first."""
        return layer_of(self.name)

    @property
    def is_public(self) -> bool:
        return not any(part.startswith("_") for part in self.name.split("."))

    def imports(self) -> Iterator[str]:
        """Yield the full name of each import, those inside functions included.

        ``from a import b`` gives ``a.b``, because ``b`` may be a module.
        """
        for node in ast.walk(ast.parse(self.source)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._resolve(node)
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def _resolve(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        kept = parts[: len(parts) - node.level + self.is_package]
        return ".".join([*kept, *(node.module or "").split(".")]).rstrip(".")


def layer_of(name: str) -> int:
    top = name.split(".")[1:2]
    if top == ["__main__"]:
        return LAYERS.index("interface")  # `python -m eventsourcing` starts there
    return LAYERS.index(top[0]) if top and top[0] in LAYERS else -1


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def violations(module: Module) -> list[str]:
    """Return what is wrong with a module, in a sentence each."""
    found = []
    in_adapter = within(module.name, ADAPTER)
    for imported in module.imports():
        sentence = f"{module.name} imports {imported}"
        if within(imported, PACKAGE) and layer_of(imported) > module.layer:
            found.append(f"{sentence}: wrong direction")
        beside_adapter = module.layer == layer_of(ADAPTER) and not in_adapter
        if within(imported, ADAPTER) and beside_adapter:
            found.append(f"{sentence}: an adapter is chosen by the application")
        if within(imported, "sqlalchemy") and not in_adapter:
            found.append(f"{sentence}: only {ADAPTER} may")
    if module.layer < 0 and module.name != PACKAGE:
        found.append(f"{module.name} belongs to no layer")
    tree = ast.parse(module.source)
    if module.is_package and not ast.get_docstring(tree):
        found.append(f"{module.name} has no docstring that says which layer it is")
    if module.is_public and not module.is_package and not declares_all(tree):
        found.append(f"{module.name} has no __all__")
    if module.source.count("\n") > MOST_LINES and module.name != ERRORS:
        found.append(f"{module.name} has more than {MOST_LINES} lines")
    return found


def declares_all(tree: ast.Module) -> bool:
    """Whether the module assigns ``__all__``; the linter keeps it sorted and true."""
    targets: list[ast.expr] = []
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def library() -> Iterator[Module]:
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        yield Module(name, path.read_text(), is_package)


@pytest.mark.parametrize("module", list(library()), ids=lambda module: module.name)
def test_a_module_keeps_the_rules(module: Module) -> None:
    assert violations(module) == []


ALL = "__all__ = []\n"
BAD_SOURCES = {
    "domain imports infrastructure": Module(
        "eventsourcing.domain.model.x",
        ALL + "from eventsourcing.infrastructure.eventstore import EventStore",
    ),
    "by the package's name": Module(
        "eventsourcing.domain.model.x", ALL + "from eventsourcing import application"
    ),
    "by a relative import": Module(
        "eventsourcing.domain.model.x", ALL + "from ...interface import web"
    ),
    "by a relative import of a package": Module(
        "eventsourcing.domain", "'''Domain.'''\nfrom ..application import simple", is_package=True
    ),
    "inside a function": Module(
        "eventsourcing.utils.x", ALL + "def f():\n    import eventsourcing.domain.model.events"
    ),
    "exceptions import utils": Module(
        "eventsourcing.exceptions", ALL + "from eventsourcing.utils import topic"
    ),
    "the top package imports": Module(
        "eventsourcing", "'''Top.'''\nfrom eventsourcing import exceptions", is_package=True
    ),
    "application imports SQLAlchemy": Module(
        "eventsourcing.application.x", ALL + "from sqlalchemy.orm import Session"
    ),
    "the port imports its adapter": Module(
        "eventsourcing.infrastructure.eventstore",
        ALL + "from eventsourcing.infrastructure.sqlalchemy import manager",
    ),
    "of no layer": Module("eventsourcing.misc", ALL),
    "no __all__": Module("eventsourcing.utils.x", "x = 1"),
    "a package without a docstring": Module("eventsourcing.utils", "", is_package=True),
    "too long": Module("eventsourcing.utils.x", ALL + "x = 1\n" * MOST_LINES),
}


@pytest.mark.parametrize("module", list(BAD_SOURCES.values()), ids=list(BAD_SOURCES))
def test_control_a_bad_module_is_found(module: Module) -> None:
    assert len(violations(module)) == 1


GOOD_SOURCES = [
    Module("eventsourcing.application.x", ALL + f"from {ADAPTER} import manager"),
    Module(f"{ADAPTER}.manager", ALL + "import sqlalchemy\nfrom . import records"),
    Module("eventsourcing.utils._private", "from eventsourcing.exceptions import ConcurrencyError"),
]


@pytest.mark.parametrize("module", GOOD_SOURCES, ids=lambda module: module.name)
def test_control_a_good_module_is_let_pass(module: Module) -> None:
    assert violations(module) == []


def loaded_by(statement: str) -> set[str]:
    """Return the names of the modules that a statement loads in a new interpreter."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def test_domain_and_exceptions_load_no_database_library() -> None:
    inner = [m.name for m in library() if m.layer <= LAYERS.index("domain")]

    loaded = loaded_by(f"import {', '.join(inner)}")

    assert PACKAGE in loaded
    assert loaded & {"sqlalchemy", "psycopg", "pymysql", "sqlite3"} == set()


def test_control_the_adapter_loads_sqlalchemy() -> None:
    assert "sqlalchemy" in loaded_by(f"import {ADAPTER}.manager")


def test_the_application_loads_no_database_library_before_it_is_opened() -> None:
    loaded = loaded_by(f"import {PACKAGE}.application.simple")

    assert loaded & {"sqlalchemy", "psycopg", "pymysql", "sqlite3"} == set()


# Each costs several milliseconds, and is for those who name it: another database, a session.
HEAVY = {
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.ext",
    "sqlalchemy.orm",
    "psycopg",
    "pymysql",
}
USE_OF_SQLITE = f"""
from {PACKAGE}.application.simple import SimpleApplication
from {PACKAGE}.domain.model.aggregate import AggregateRoot
with SimpleApplication(uri="sqlite:///:memory:") as app:
    aggregate = AggregateRoot.create()
    aggregate.save()
    app.repository[aggregate.id]
"""


def test_the_use_of_sqlite_loads_nothing_heavy_beside_sqlalchemy() -> None:
    assert loaded_by(USE_OF_SQLITE) & HEAVY == set()


def test_the_use_of_sqlite_loads_no_package_but_sqlalchemy_and_msgspec() -> None:
    beside = loaded_by(USE_OF_SQLITE) - loaded_by("import sqlalchemy")

    packages = {name.partition(".")[0] for name in beside} - sys.stdlib_module_names

    assert packages == {PACKAGE, "sqlalchemy", "msgspec"}


def test_control_what_is_heavy_is_found_by_its_name() -> None:
    assert loaded_by(f"import {', '.join(HEAVY)}") >= HEAVY


def test_the_typing_marker_is_part_of_the_package() -> None:
    assert (ROOT / PACKAGE / "py.typed").exists()
