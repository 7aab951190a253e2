"""What the linter's security rules do not see: SQL made of pieces, calls that run what is given.

The linter knows statements by their words (S608) and refuses pickle, eval and exec. This looks at
what is given to a call that executes SQL, whatever it says and by whatever name, and at text that
begins as SQL does. ``make lint`` runs it.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "eventsourcing"
EXECUTING = {"text", "literal_column", "DDL", "exec_driver_sql"}
EXECUTING |= {"execute", "executemany", "executescript", "scalar", "scalars", "copy"}
BEGINS_AS_SQL = re.compile(
    r"\s*(SELECT|FROM|WHERE|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|CREATE|DROP|ALTER|TRUNCATE|LOCK|UNLOCK|"
    r"SET|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|GRANT|CALL|EXPLAIN|VACUUM|NOTIFY|LISTEN|"
    r"AND|OR|VALUES|JOIN|ORDER BY|GROUP BY|LIMIT|RETURNING|ON CONFLICT)\s"
)
DANGEROUS = {"eval", "exec", "compile", "__import__", "import_module", "system", "popen", "Popen"}
DANGEROUS_MODULES = {"pickle", "marshal", "shelve", "dill", "jsonpickle", "yaml", "subprocess"}

# What the library puts into statements where no parameter can stand, and why it may.
PIECES: Mapping[str, Mapping[str, str]] = {
    "infrastructure/sqlalchemy/mysql.py": {
        "seconds": "a number",
        "_READS_AND_WRITES": "a number",
    },
    "infrastructure/sqlalchemy/mysqlgaps.py": {
        "self._table": "quoted by the dialect",
        "self._column": "quoted by the dialect",
        "gap": "made of both, and of numbers",
        "first": "a number",
        "last": "a number",
    },
    "infrastructure/sqlalchemy/postgresqlnotify.py": {
        "self._channel": "an identifier or a hash, which channel_of sees to"
    },
    "infrastructure/sqlalchemy/projectionviews.py": {"quoted": "quoted by the dialect"},
    "infrastructure/sqlalchemy/silence.py": {
        "ceil(seconds)": "a number",
        "ceil(seconds * 1000)": "a number",
    },
    "infrastructure/sqlalchemy/sqlite.py": {
        "settings.sqlite_synchronous": "one of four words, which the settings check",
        "wanted": "one of the journal modes, which the settings check",
    },
}
# Which modules make a dangerous call, and why they may.
CALLS: Mapping[str, Mapping[str, str]] = {
    "application/eventshapes.py": {"import_module": "of modules that the caller names"},
    "utils/topic.py": {"import_module": "below the packages that the application allows"},
}
CONSTANT = re.compile("_?[A-Z][A-Z_]*")  # of the module itself


def findings(source: str, pieces: Container[str] = (), calls: Container[str] = ()) -> Iterator[str]:
    """Yields what is wrong with a source, in a line each.

    Args:
        pieces: those of SQL that are allowed.
        calls: names of dangerous functions that are allowed.
    """
    for line, piece in sorted(set(sql_pieces(source))):
        if piece not in pieces and not CONSTANT.fullmatch(piece):
            yield f"line {line}: SQL of {piece}"
    for line, name in dangers(source):
        if name not in calls:
            yield f"line {line}: {name}"


def dangers(source: str) -> Iterator[tuple[int, str]]:
    """Yields the dangerous functions that are called, and modules that are imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _is_dangerous(node.func):
            yield node.lineno, name_of(node.func)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            for module in imported:
                if module.partition(".")[0] in DANGEROUS_MODULES:
                    yield node.lineno, module


def _is_dangerous(function: ast.expr) -> bool:
    # re.compile is harmless, and every other method of that name
    is_method = isinstance(function, ast.Attribute)
    return name_of(function) in (DANGEROUS - {"compile"} if is_method else DANGEROUS)


def sql_pieces(source: str) -> Iterator[tuple[int, str]]:
    """Yields the source of each expression that is put into SQL, and its line."""
    tree = ast.parse(source)
    assigned = assignments(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in EXECUTING:
            given = [*node.args[:1], *(keyword.value for keyword in node.keywords)]
            for expression in given:
                name = expression.id if isinstance(expression, ast.Name) else ""
                for text in (expression, *assigned.get(name, ())):
                    yield from pieces(text)
        elif isinstance(node, ast.expr) and BEGINS_AS_SQL.match(beginning(node)):
            yield from pieces(node)


def assignments(tree: ast.AST) -> Mapping[str, Sequence[ast.expr]]:
    """Returns what is assigned, or added, to each name of a module."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node in ast.walk(tree):
        targets: Sequence[ast.expr] = ()
        value: ast.expr | None = None
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
            targets, value = [node.target], node.value
        elif isinstance(node, ast.AugAssign):  # what is added is a piece
            added = ast.BinOp(ast.Constant(""), ast.Add(), node.value)
            targets, value = [node.target], ast.copy_location(added, node)
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                found[target.id].append(value)
    return found


def name_of(function: ast.expr) -> str:
    """Returns the last name of what is called, such as ``execute``."""
    if isinstance(function, ast.Attribute):
        return function.attr
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
        is_text = isinstance(part, ast.JoinedStr | ast.BinOp)
        inner = list(pieces(part)) if is_text else []
        if inner or not isinstance(part, ast.JoinedStr):  # an f-string may hold nothing
            yield from inner or [(node.lineno, ast.unparse(part))]


def beginning(node: ast.expr) -> str:
    """Returns the literal text that a text begins with."""
    while True:
        if isinstance(node, ast.BinOp):
            node = node.left
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr != "format":
                return ""
            node = node.func.value
        else:
            break
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


MODULES = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.rglob("*.py"))}


def test_every_module_is_looked_at() -> None:
    assert {"__main__.py", "infrastructure/sqlalchemy/feed.py", "infrastructure/feed.py"} <= set(
        MODULES
    )
    assert {"utils/_general.py", "infrastructure/sqlalchemy/__init__.py"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_no_statement_is_made_of_what_is_given_and_nothing_given_is_run(name: str) -> None:
    source = MODULES[name].read_text()

    assert list(findings(source, PIECES.get(name, {}), CALLS.get(name, {}))) == []


def test_each_exception_is_needed() -> None:
    used = {
        (name, found)
        for name in {*PIECES, *CALLS}
        for look in (sql_pieces, dangers)
        for _, found in look(MODULES[name].read_text())
    }
    allowed = [*PIECES.items(), *CALLS.items()]

    assert {(name, each) for name, reasons in allowed for each in reasons} <= used


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
        "import marshal",
        "import pickle; pickle.loads(path)",
        "__import__(path)",
        "importlib.import_module(path)",
        "from pickle import loads",
        "import subprocess",
        'sql = "DROP TABLE {}".format(path)',
        'sql = "SELECT 1"; sql += path; cursor.execute(sql)',
        "sql = f'{path} anything'; cursor.execute(sql)",
        "sql: str = 'anything ' + path; connection.execute(text(text=sql))",
        "cursor.execute(query=f'anything {path}')",
        "sql += f' AND {path}'",
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
        'sql = "SELECT 1"; sql += " WHERE a = ?"; cursor.execute(sql, [path])',
        "compiler.compile(path)",
    ],
)
def test_control_what_is_harmless_is_let_pass(source: str) -> None:
    assert list(findings(source)) == []
