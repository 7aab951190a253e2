"""What the linter's security rules do not see: SQL made of pieces, calls that run what is given.

The linter knows statements by their words (S608) and refuses pickle, eval and exec. This looks at
what is given to a call that executes SQL, whatever it says, and at text that begins as SQL does.
"""

import ast
import re
from collections.abc import Container, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXECUTING = {"text", "literal_column", "DDL", "exec_driver_sql"}
EXECUTING |= {"execute", "executemany", "executescript", "scalar", "scalars", "copy"}
BEGINS_AS_SQL = re.compile(
    r"\s*(SELECT|FROM|WHERE|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|CREATE|DROP|ALTER|TRUNCATE|LOCK|UNLOCK|"
    r"SET|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|GRANT|CALL|EXPLAIN|VACUUM)\s"
)
DANGEROUS = {"eval", "exec", "compile", "__import__", "system", "popen", "unsafe_load"}
DANGEROUS |= {"loads of pickle", "loads of marshal", "load of pickle", "load of marshal"}

# What the library puts into statements where no parameter can stand, and why it may.
PIECES = {
    "mysqlgaps": {
        "self._table": "quoted by the dialect",
        "self._column": "quoted by the dialect",
        "gap": "made of both, and of numbers",
        "first": "a number",
        "last": "a number",
    },
    "postgresqlnotify": {"self._channel": "an identifier or a hash, which channel_of sees to"},
    "projectionviews": {"quoted": "quoted by the dialect"},
    "silence": {"ceil(seconds)": "a number", "ceil(seconds * 1000)": "a number"},
    "sqlite": {
        "settings.sqlite_synchronous": "one of four words, which the settings check",
        "wanted": "one of the journal modes, which the settings check",
    },
}
CONSTANT = re.compile("_?[A-Z][A-Z_]*")  # of the module itself


def findings(source: str, allowed: Container[str] = ()) -> Iterator[str]:
    """Yields what is wrong with a source, in a line each. Some pieces of SQL are allowed."""
    for line, piece in sorted(set(sql_pieces(source))):
        if piece not in allowed and not CONSTANT.fullmatch(piece):
            yield f"line {line}: SQL of {piece}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and name_of(node.func) in DANGEROUS:
            yield f"line {node.lineno}: {name_of(node.func)}()"


def sql_pieces(source: str) -> Iterator[tuple[int, str]]:
    """Yields the source of each expression that is put into SQL, and its line."""
    for node in ast.walk(ast.parse(source)):
        executes = isinstance(node, ast.Call) and name_of(node.func) in EXECUTING
        if isinstance(node, ast.Call) and executes and node.args:
            yield from pieces(node.args[0])
        elif isinstance(node, ast.JoinedStr | ast.BinOp) and BEGINS_AS_SQL.match(beginning(node)):
            yield from pieces(node)


def name_of(function: ast.expr) -> str:
    """Returns the last name of what is called: ``loads of pickle``, or ``execute``."""
    if isinstance(function, ast.Attribute):
        owner = function.value.id if isinstance(function.value, ast.Name) else ""
        is_reader = function.attr in ("load", "loads", "compile")
        return f"{function.attr} of {owner}" if is_reader else function.attr
    return function.id if isinstance(function, ast.Name) else "?"


def pieces(node: ast.expr) -> Iterator[tuple[int, str]]:
    """Yields what is put into a text: by f-string, ``+``, ``%``, ``format`` or ``join``."""
    put: list[ast.expr] = []
    if isinstance(node, ast.JoinedStr):
        put = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    elif isinstance(node, ast.BinOp):
        put = [side for side in (node.left, node.right) if not isinstance(side, ast.Constant)]
    elif isinstance(node, ast.Call) and name_of(node.func) in ("format", "join"):
        put = [*node.args, *(keyword.value for keyword in node.keywords)]
    for part in put:
        inner = list(pieces(part)) if isinstance(part, ast.JoinedStr | ast.BinOp) else []
        yield from inner or [(node.lineno, ast.unparse(part))]


def beginning(node: ast.expr) -> str:
    """Returns the literal text that a text begins with."""
    while isinstance(node, ast.BinOp):
        node = node.left
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


MODULES = {path.stem: path for path in sorted((ROOT / "eventsourcing").rglob("[!_]*.py"))}


@pytest.mark.parametrize("name", MODULES)
def test_no_statement_is_made_of_what_is_given_and_nothing_given_is_run(name: str) -> None:
    source = MODULES[name].read_text()

    assert list(findings(source, PIECES.get(name, {}))) == []


def test_each_exception_is_needed() -> None:
    used = {(name, piece) for name in PIECES for _, piece in sql_pieces(MODULES[name].read_text())}

    assert {(name, piece) for name, allowed in PIECES.items() for piece in allowed} <= used


@pytest.mark.parametrize(
    "source",
    [
        'cursor.execute(f"VACUUM INTO {path}")',
        'cursor.execute("VACUUM INTO " + path)',
        "cursor.execute(\"VACUUM INTO '%s'\" % path)",
        "cursor.execute(\"VACUUM INTO '{}'\".format(path))",
        'connection.execute(text(f"anything {path}"))',
        'connection.exec_driver_sql(f"anything {path}")',
        'sql = f"DROP TABLE {path}"',
        'sql = f"SET x = {path + 1}"',
        "sqlalchemy.text(f'{path}')",
        "eval(path)",
        "os.system(path)",
        "pickle.loads(path)",
        "marshal.load(path)",
        "__import__(path)",
    ],
)
def test_control_what_is_planted_is_found(source: str) -> None:
    assert len(list(findings(source))) == 1


@pytest.mark.parametrize(
    "source",
    [
        'cursor.execute("SELECT 1 WHERE a = ?", [path])',
        "connection.execute(select(table.c.id).where(table.c.id == path))",
        'raise ProgrammingError(f"the table {path} is missing")',
        'OLDEST = f"SELECT {_OLDEST}"',
        "re.compile(path)",
        "json.loads(path)",
    ],
)
def test_control_what_is_harmless_is_let_pass(source: str) -> None:
    assert list(findings(source)) == []
