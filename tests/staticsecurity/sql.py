"""Finds SQL that is not made of literals.

What is given to a call that runs SQL, or puts a text into a statement, has to be one of these; all
else is told:

- a literal, or made of such: by f-string, ``+``, ``%``, ``if``, a method of a text, a variable, an
  attribute of ``self`` or a function of the module, of which all that is assigned or returned is
  looked at;
- an expression of SQLAlchemy's: what a function imported from ``sqlalchemy`` returns, and what its
  methods return;
- of a type of SQLAlchemy's, or of those in `TYPES`, by its annotation, which mypy checks.

The calls are known by their names, whatever they are methods of. Such a name may be called, and
used in no other way: neither given to a variable nor written as a text, as for ``getattr``. What is
called ``copy``, ``scalar``, ``stream`` or ``text`` may be something else; there this holds for a
``text`` that is seen to be SQLAlchemy's.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence

from tests.staticsecurity.bindings import Binding, Function, Module, name_of

__all__ = ["sql_pieces"]

# They run or make statements of their first argument,
EXECUTING = {"execute", "executemany", "executescript", "exec_driver_sql", "fetch", "stream"}
EXECUTING |= {"scalar", "scalars", "stream_scalars", "callproc", "copy", "copy_expert"}
EXECUTING |= {"Write", "Query"}
# and these put each of theirs into one.
TEXTS = {
    "text",
    "literal_column",
    "DDL",
    "TextClause",
    "quoted_name",
    "CheckConstraint",
    "Computed",
}
TEXTS |= {"op", "bool_op", "prefix_with", "suffix_with", "with_hint", "with_statement_hint"}
VALUES = {"parameters", "params", "vars", "execution_options", "bind_arguments", "prepare"}
# Those that mean nothing else, so that nobody has need to name them but to call them.
ONLY_SQL = (EXECUTING | TEXTS) - {"Write", "Query", "copy", "scalar", "stream", "text"}
TYPES = {"Write", "Query"}  # of the library: statements, that are looked at where one is made
MAKERS = TYPES | {"compiled"}
OF_TEXTS = {*dir(str)}  # methods, of which no expression has need
BEGINS_AS_SQL = re.compile(
    r"\s*(SELECT|FROM|WHERE|INSERT|UPDATE|DELETE|REPLACE|MERGE|WITH|CREATE|DROP|ALTER|TRUNCATE|LOCK|UNLOCK|"
    r"SET|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|GRANT|CALL|EXPLAIN|VACUUM|NOTIFY|LISTEN|"
    r"AND|OR|VALUES|JOIN|ORDER BY|GROUP BY|LIMIT|RETURNING|ON CONFLICT)\s"
)


def sql_pieces(source: str) -> Iterator[tuple[int, str]]:
    """Yields what is put into SQL and is not known to be harmless, and its line.

    A parameter is called ``sql of fetch``, by its function; all else by its source.
    """
    module = Module(source)
    called = {node.func for node in module.nodes if isinstance(node, ast.Call)}
    for node in module.nodes:
        if isinstance(node, ast.Call):
            for given in _given(node, module):
                for piece in _Origins(module).of(given):
                    yield given.lineno, piece
        elif isinstance(node, ast.JoinedStr | ast.BinOp) and BEGINS_AS_SQL.match(_beginning(node)):
            for piece in _Origins(module).of(node):
                yield node.lineno, piece
        if node not in called and (taken := _taken(node, module)):
            yield getattr(node, "lineno", 0), f"{taken}, which is not called"


def _real_name(function: ast.expr, module: Module) -> str:
    """Returns the name of what is called, by which it was imported."""
    name = name_of(function)
    return (
        module.imports.get(name, name).rpartition(".")[2]
        if isinstance(function, ast.Name)
        else name
    )


def _given(call: ast.Call, module: Module) -> Iterator[ast.expr]:
    """Yields the arguments of a call that are SQL."""
    name = _real_name(call.func, module)
    if name in EXECUTING or name in TEXTS:
        yield from call.args if name in TEXTS else call.args[:1]
        yield from (each.value for each in call.keywords if each.arg not in VALUES)
    elif isinstance(call.func, ast.Attribute) and call.func.attr == "format":
        if BEGINS_AS_SQL.match(_beginning(call)):
            yield call
    else:
        yield from (each.value for each in call.keywords if each.arg == "sql")


def _taken(node: ast.AST, module: Module) -> str:
    """Returns the name of what runs SQL, if a node is that, or its name as a text."""
    if isinstance(node, ast.Constant) and node.value in ONLY_SQL:
        return str(node.value)
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        is_of_sqlalchemy = module.imports.get(name_of(root), "").startswith("sqlalchemy")
        return node.attr if node.attr in (TEXTS if is_of_sqlalchemy else ONLY_SQL) else ""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        full = module.imports.get(node.id, "")
        name = full.rpartition(".")[2]
        return name if full.startswith("sqlalchemy") and name in TEXTS else ""
    return ""


class _Origins:
    """Finds what an expression is made of, and is not known to be harmless."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._seen: set[ast.AST] = set()
        self._asked: set[ast.AST] = set()

    def of(self, node: ast.expr) -> Iterator[str]:
        """Yields the source of each part."""
        if node in self._seen or isinstance(node, ast.Constant):
            return
        self._seen.add(node)
        parts = self._parts(node)
        if parts is not None:
            for part in parts:
                yield from self.of(part)
        elif self._is_statement(node):
            return
        elif isinstance(node, ast.Name):
            yield from self._of_name(node)
        else:
            yield ast.unparse(node)

    def _parts(self, node: ast.expr) -> Sequence[ast.expr] | None:
        """Returns what a text is made of, or None if it is not seen to be made."""
        match node:
            case ast.JoinedStr(values=parts) | ast.BoolOp(values=parts):
                return parts
            case ast.FormattedValue(value=value, format_spec=spec):
                return [value] if spec is None else [value, spec]
            case ast.BinOp(left=left, right=right):
                return [left, right]
            case ast.IfExp(body=left, orelse=right):
                return [left, right]
            case ast.NamedExpr(value=value) | ast.Starred(value=value):
                return [value]
            case ast.Attribute(value=owner) if self._is_statement(owner):
                return []
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return _values(self._module.attributes.get(name, ()))
            case ast.Call(func=ast.Name()) if functions := self._functions(node.func):
                return None if self._is_statement(node) else _returned(functions)
            case ast.Call(func=ast.Attribute(value=text)) if self._is_text(text):
                return [text, *node.args, *(each.value for each in node.keywords)]
        return None

    def _of_name(self, node: ast.Name) -> Iterator[str]:
        scope, bindings = self._module.lookup(node.id, self._module.scope_of(node))
        values = _values(bindings)
        if values is None:
            where = f" of {scope.name}" if bindings and isinstance(scope, Function) else ""
            yield node.id + where
        for value in values or ():
            yield from self.of(value)

    def _is_text(self, node: ast.expr) -> bool:
        """Tells whether it is seen to be a text, whose methods return texts of its."""
        match node:
            case ast.Constant(value=str()) | ast.JoinedStr() | ast.BinOp():
                return True
            case ast.Attribute(value=owner):
                return self._is_statement(owner)
            case ast.Call(func=ast.Attribute(value=inner)):
                return self._is_text(inner)
            case ast.Name():
                return self._is_each(self._is_text, node, self._bindings(node))
        return False

    def _is_statement(self, node: ast.expr) -> bool:
        """Tells whether it is an expression of SQLAlchemy's, or has a type of `TYPES`."""
        match node:
            case ast.Call(func=function):
                if self._is_typed(function):
                    return True
                if isinstance(function, ast.Attribute):
                    return function.attr not in OF_TEXTS and self._is_statement(function.value)
                name = name_of(function)
                if isinstance(function, ast.Name) and self._bindings(function):
                    return False  # something else is called like that here
                return name in MAKERS or self._is_of_sqlalchemy(name)
            case ast.IfExp(body=left, orelse=right):
                return self._is_statement(left) and self._is_statement(right)
            case ast.Name(id=name):
                bindings = self._bindings(node)
                if not bindings:
                    return self._is_of_sqlalchemy(name)
                return self._is_each(self._is_statement, node, bindings)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                if self._is_typed(node):  # as a property
                    return True
                bindings = self._module.attributes.get(name, ())
                return self._is_each(self._is_statement, node, bindings)
        return False

    def _bindings(self, node: ast.Name) -> Sequence[Binding]:
        return self._module.lookup(node.id, self._module.scope_of(node))[1]

    def _is_each(
        self, check: Callable[[ast.expr], bool], node: ast.expr, bindings: Sequence[Binding]
    ) -> bool:
        """Tells whether all that a name is given is such, or the name has a type that is."""
        if node in self._asked:
            return True  # as far as it is made of itself
        self._asked.add(node)
        try:
            return bool(bindings) and all(
                (check == self._is_statement and self._is_type(each.annotation))
                or (each.value is not None and check(each.value))
                for each in bindings
            )
        finally:
            self._asked.remove(node)

    def _is_of_sqlalchemy(self, name: str) -> bool:
        return self._module.imports.get(name, "").partition(".")[0] == "sqlalchemy"

    def _is_type(self, annotation: ast.expr | None) -> bool:
        while isinstance(annotation, ast.Subscript):
            annotation = annotation.value
        name = annotation.id if isinstance(annotation, ast.Name) else ""
        return name in TYPES or self._is_of_sqlalchemy(name)

    def _is_typed(self, called: ast.expr) -> bool:
        functions = self._functions(called)
        return bool(functions) and all(self._is_type(each.returns) for each in functions)

    def _functions(self, called: ast.expr) -> Sequence[Function]:
        """Returns those of the module that are called so, by name or of ``self``."""
        match called:
            case ast.Name(id=name):
                is_other = name in self._module.imports or self._bindings(called)
                return () if is_other else self._module.functions.get(name, ())
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return self._module.functions.get(name, ())
        return ()


def _values(bindings: Sequence[Binding]) -> Sequence[ast.expr] | None:
    """Returns what is given, or None if that is not all seen."""
    values = [each.value for each in bindings if each.value is not None]
    return values if values and len(values) == len(bindings) else None


def _returned(functions: Sequence[Function]) -> Sequence[ast.expr]:
    nodes = (node for function in functions for node in ast.walk(function))
    return [each.value for each in nodes if isinstance(each, ast.Return) and each.value]


def _beginning(node: ast.expr) -> str:
    """Returns the literal text that a text begins with."""
    while True:
        match node:
            case ast.BinOp(left=first) | ast.Call(func=ast.Attribute(value=first)):
                node = first
            case ast.JoinedStr(values=[first, *_]):
                node = first
            case ast.Constant(value=str(text)):
                return text
            case _:
                return ""
