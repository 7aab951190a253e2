"""What the linter's security rules do not see: SQL made of pieces, calls that run what is given.

The linter knows statements by their words (S608) and refuses pickle, eval and exec. This looks at
what is given to a call that executes SQL: it is made of literals, is an expression of SQLAlchemy's,
or stands below with the reason why it may be given. What runs, imports or unpickles what it is
given may not even be named. ``make lint`` runs it.

==================================  ===============================================
`tests.staticsecurity.sql`          finds SQL that is not made of literals
`tests.staticsecurity.calls`        finds dangerous functions and modules
`tests.staticsecurity.bindings`     knows what the names of a module stand for
==================================  ===============================================

One module is looked at at a time, by names. So these are not found: a name that is made at run time
(``getattr(os, "sys" + "tem")``, ``vars(connection)[name]``), or that the lists do not have; what
``setattr`` or another module does to a name or an attribute (``module.SQL = path``, a subclass that
overrides one); and a value of another type than its annotation, which mypy has to find. An
exception below holds for its whole module.
"""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import pytest

from tests.staticsecurity.calls import dangers
from tests.staticsecurity.sql import sql_pieces

ROOT = Path(__file__).parents[1] / "eventsourcing"

_CALLER = "of the library's callers, whose own calls are looked at"
_COMPILED = "compiled by SQLAlchemy"
_NUMBER = "a number"
_QUOTED = "quoted by the dialect"
_DRIVERS = "a literal of the driver's class"

# What the library puts into statements and is not made of literals, and why it may.
PIECES: Mapping[str, Mapping[str, str]] = {
    "infrastructure/sqlalchemy/callers.py": {"sql of fetch": _CALLER},
    "infrastructure/sqlalchemy/connections.py": {
        "sql of fetch": _CALLER,
        "driver.begin": _DRIVERS,
        "self._driver.begin": _DRIVERS,
        "prepared.sql": "of a Write",
    },
    "infrastructure/sqlalchemy/datastore.py": {
        "sql of fetch": _CALLER,
        "self.driver.confirmation": _DRIVERS,
    },
    "infrastructure/sqlalchemy/feed.py": {
        "select(last, size)": _COMPILED,
        "self._statements.greatest.sql": _COMPILED,
        "fetch, which is not called": "put off, with what SQLAlchemy has compiled",
    },
    "infrastructure/sqlalchemy/gaps.py": {
        "self._statements.count.with_values(first=first, last=last)": _COMPILED,
        "self._statements.numbers.with_values(first=first, last=last, limit=limit)": _COMPILED,
    },
    "infrastructure/sqlalchemy/manager.py": {
        "self._statements.locate(sequence_id, position)": _COMPILED,
        "self._statements.read(sequence_id, bounds, size, item_class)": _COMPILED,
        "self._statements.write(rows, is_shared)": "a Write",
    },
    "infrastructure/sqlalchemy/mysql.py": {
        "max(1, round(settings.lock_timeout))": _NUMBER,
        "(_with_digits(sql, are_texts), [v.encode() if type(v) is str else v for v in row])": (
            "the SQL of a Write, with other marks"
        ),
        "(sql, row)": "the SQL of a Write",
        "[marks for marks, _ in rows]": "marks alone",
        "cursor.mogrify(sql, [value for _, row in rows for value in row])": (
            "the driver writes the values, as it always does"
        ),
    },
    "infrastructure/sqlalchemy/mysqlgaps.py": {
        "[self._column, *others]": _QUOTED,
        "prepare.format_table(statements.table).replace('%', '%%')": _QUOTED,
        "prepare.quote(statements.column.name).replace('%', '%%')": _QUOTED,
        "first of _is_quiet": _NUMBER,
        "last of _is_quiet": _NUMBER,
        "map(row.format, missing)": "numbers",
    },
    "infrastructure/sqlalchemy/postgresqlgaps.py": {
        "MAX_POSITION": _NUMBER,
        "self._barrier.bound": _NUMBER,
    },
    "infrastructure/sqlalchemy/postgresqlnotify.py": {
        "channel of __init__": "what channel_of returns",
        "table_name of channel_of": "an identifier, which channel_of sees to",
        "sha256(table_name.encode()).hexdigest()[:40]": "a hash",
    },
    "infrastructure/sqlalchemy/projectionviews.py": {
        "command of _view": "a literal",
        "connection.dialect.identifier_preparer.quote(check_identifier(name, 'view'))": _QUOTED,
        "connection.dialect.identifier_preparer.quote(name)": _QUOTED,
        "store.datastore.driver.begin": _DRIVERS,
    },
    "infrastructure/sqlalchemy/silence.py": {
        "ceil(seconds)": _NUMBER,
        "ceil(seconds * 1000)": _NUMBER,
    },
    "infrastructure/sqlalchemy/sqlite.py": {
        "settings.sqlite_synchronous": "one of four words, which the settings check",
        "wanted of _has_mode": "one of the journal modes, which the settings check",
        "sql of _for_rows": "of a Write",
        "sql.rpartition(' VALUES ')[2]": "of a Write",
        "count of _for_rows": _NUMBER,
    },
    "infrastructure/sqlalchemy/statements.py": {
        "self.sql": "of a Write, whose SQL is looked at where it is made",
        "self._compiled(driver.insert_one(table, self._columns))": _COMPILED,
        "self._compiled(driver.insert_many(table, self._columns))": _COMPILED,
        "self._compiled(driver.insert_shared(table, self._columns))": _COMPILED,
        "self._with_nulls": _COMPILED,
        "str(made)": _COMPILED,
    },
}
# Which modules make a dangerous call, and why they may.
CALLS: Mapping[str, Mapping[str, str]] = {
    "application/eventshapes.py": {"import_module": "of modules that the caller names"},
    "utils/topic.py": {"import_module": "below the packages that the application allows"},
}


def findings(source: str, pieces: Container[str] = (), calls: Container[str] = ()) -> Iterator[str]:
    """Yields what is wrong with a source, in a line each.

    Args:
        pieces: those of SQL that are allowed.
        calls: names of dangerous functions that are allowed.
    """
    for line, piece in sorted(set(sql_pieces(source))):
        if piece not in pieces:
            yield f"line {line}: SQL of {piece}"
    for line, name in dangers(source):
        if name not in calls:
            yield f"line {line}: {name}"


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
        # made by a method
        'cursor.execute("VACUUM INTO {p}".replace("{p}", path))',
        'cursor.execute("VACUUM INTO {p}".format_map({"p": path}))',
        'cursor.execute(f"anything {path}".strip())',
        'cursor.execute(str(f"anything {path}"))',
        'sql = "anything {p}"; cursor.execute(sql.replace("{p}", path).strip())',
        "def f(write: Write): cursor.execute(write.sql.replace('?', path))",
        "def f(write: Write): sql = write.sql; cursor.execute(sql.replace('?', path))",
        "def f(query: Query): sql, _ = query.with_values(); cursor.execute(sql.replace('?', path))",
        # given by a way round
        'cursor.execute(f"anything {path}" if path else "SELECT 1")',
        'cursor.execute("SELECT 1" and path)',
        'a = f"anything {path}"; b = a; cursor.execute(b)',
        'cursor.execute(sql := f"anything {path}")',
        'class C:\n def f(self, path): self.sql = "x" + path; cursor.execute(self.sql)',
        "class C:\n sql = 'x'\n def f(self): cursor.execute(self.sql)\nC.sql = path",
        'def g(p): return f"anything {p}"\ndef f(path): cursor.execute(g(path))',
        "def f(path): cursor.execute(path)",
        "def f(path: str): cursor.execute(path)",
        "def f(*paths): cursor.execute(*paths)",
        "def f(g):\n cursor.execute(g(path))\nclass C:\n def g(self): return 'x'",
        "from sqlalchemy import select\ndef f(select): cursor.execute(select(path))",
        "cursor.execute('x'.__add__(path))",
        "cursor.execute(', '.join([path]))",
        "lambda sql: cursor.execute(sql)",
        "for path in paths: cursor.execute(path)",
        "with path as sql: cursor.execute(sql)",
        "[cursor.execute(path) for path in paths]",
        "def f():\n sql = 'x'\n def g():\n  nonlocal sql; sql = path\n cursor.execute(sql)",
        "cursor.execute([path][0])",
        "sql = select(a)\nsql = path\ncursor.execute(sql)",
        "Write(path, ())",
        "write._replace(sql=path)",
        # by another name
        'run = cursor.execute; run(f"anything {path}")',
        "map(cursor.execute, paths)",
        'getattr(cursor, "execute")(path)',
        "import sqlalchemy as sa; text_ = sa.text; text_(path)",
        "import sqlalchemy.sql; text_ = sqlalchemy.sql.text; text_(path)",
        "import sqlalchemy as sa; sa.text(path)",
        "from sqlalchemy import text as t; t(path)",
        "from sqlalchemy import text as t; u = t; u(path)",
        # put into an expression
        'a.op(f"{path}")(b)',
        'select(a).prefix_with("x", path)',
        "select(a).suffix_with(path)",
        "select(a).with_hint(table, path)",
        "connection.execute(select(a).with_statement_hint(path))",
        "literal_column(path)",
        "CheckConstraint(path)",
        # constants that are none
        'PATH = input(); cursor.execute(f"VACUUM INTO {PATH}")',
        'def f(PATH): cursor.execute(f"VACUUM INTO {PATH}")',
        'from paths import PATH; cursor.execute(f"VACUUM INTO {PATH}")',
        "PATH = 'x'\ndef f():\n global PATH; PATH = path\ncursor.execute(PATH)",
        "PATH = 'x'\ndef f():\n from paths import PATH; cursor.execute(PATH)",
        # dangerous
        "os.execv(path, [])",
        "os.spawnl(0, path)",
        "os.posix_spawn(path, [], {})",
        "asyncio.create_subprocess_shell(path)",
        "await_ = asyncio.create_subprocess_exec(path)",
        "import runpy; runpy.run_path(path)",
        "from os import system as s; s(path)",
        "from importlib import import_module as load; load(path)",
        "e = eval; e(path)",
        "c = compile; c(path)",
        'getattr(os, "system")(path)',
        "import builtins; builtins.exec(path)",
        "import ctypes",
        "import pkgutil; pkgutil.resolve_name(path)",
        "importlib.util.spec_from_file_location(path)",
        "from sqlalchemy import PickleType",
        "sqlalchemy.PickleType()",
        "import cloudpickle",
        "from _pickle import loads",
    ],
)
def test_control_what_is_planted_is_found(source: str) -> None:
    assert list(findings(source)) != []


@pytest.mark.parametrize(
    "source",
    [
        'cursor.execute("SELECT 1 WHERE a = ?", [path])',
        "from sqlalchemy import select\n"
        "connection.execute(select(table.c.id).where(table.c.id == path))",
        "import sqlalchemy as sa; connection.execute(sa.select(table.c.id))",
        "from sqlalchemy import select\nquery = select(a)\nquery = query.where(b == path)\n"
        "connection.execute(query)",
        "from sqlalchemy import Select\ndef f(query: Select[str]): connection.execute(query)",
        "def f(write: Write): cursor.execute(write.sql, write.parameters)",
        "class C:\n def f(self): self._sql = 'x'; cursor.execute(self._sql)",
        'SQL = "x" if old else "y"; cursor.execute(SQL)',
        'SQL = "x {y}"; cursor.execute(SQL.replace("{y}", "z"))',
        'PART = "a"; SQL = f"SELECT {PART}"\ndef f(): cursor.execute(SQL)',
        'raise ProgrammingError(f"the table {path} is missing")',
        '_OLDEST = "a"; OLDEST = f"SELECT {_OLDEST}"',
        "re.compile(path)",
        "json.loads(path)",
        'sql = "SELECT 1"; sql += " WHERE a = ?"; cursor.execute(sql, [path])',
        "compiler.compile(path)",
    ],
)
def test_control_what_is_harmless_is_let_pass(source: str) -> None:
    assert list(findings(source)) == []
