"""What the names and attributes of a module stand for."""

import ast
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Binding", "Function", "Module", "name_of"]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | Function | ast.Lambda


class Binding(NamedTuple):
    """What a name, or an attribute, is given at one place.

    Attributes:
        value: None if it is not seen, as for a parameter.
        annotation: of a parameter, a variable or a field.
    """

    value: ast.expr | None = None
    annotation: ast.expr | None = None


class Module:
    """A module's source.

    Attributes:
        nodes: all of it.
        imports: the full names of what is imported, by the names it has here.
        functions: those of the module and of its classes, by name.
        attributes: what is assigned to an attribute of that name, of any object or class.
    """

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self.nodes: Sequence[ast.AST] = list(ast.walk(tree))
        self.imports: dict[str, str] = {}
        self.functions: dict[str, list[Function]] = defaultdict(list)
        self.attributes: dict[str, list[Binding]] = defaultdict(list)
        self._names: dict[Scope, dict[str, list[Binding]]] = {}
        self._outer: dict[Scope, Scope] = {}
        self._scope_of: dict[ast.AST, Scope] = {}
        self._shared: set[str] = set()
        self._enter(tree)
        self._read_all(tree, tree, in_class=False)

    def scope_of(self, node: ast.AST) -> Scope:
        """Returns the function that a node stands in, or the module."""
        return self._scope_of[node]

    def lookup(self, name: str, scope: Scope) -> tuple[Scope, Sequence[Binding]]:
        """Returns where a name is bound, seen from a scope, and what to."""
        while name not in self._names[scope] and scope in self._outer:
            scope = self._outer[scope]
        found = self._names[scope].get(name, ())
        is_unclear = name in self._shared or (found and name in self.imports)
        return scope, [Binding()] if is_unclear else found

    def _enter(self, scope: Scope) -> None:
        names = self._names[scope] = defaultdict(list)
        if not isinstance(scope, ast.Module):
            given = scope.args
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            for each in (*every, given.vararg, given.kwarg):
                if each is not None:
                    is_one = each in every
                    names[each.arg].append(Binding(None, each.annotation if is_one else None))

    def _read_all(self, node: ast.AST, scope: Scope, in_class: bool) -> None:
        self._scope_of[node] = scope
        self._read(node, scope, in_class)
        if isinstance(node, Function | ast.Lambda):
            self._outer[node] = scope
            self._enter(node)
            for child in ast.iter_child_nodes(node):
                is_inside = child in node.body if isinstance(node.body, list) else True
                self._read_all(child, node if is_inside else scope, in_class=False)
            return
        is_class = isinstance(node, ast.ClassDef)
        for child in ast.iter_child_nodes(node):
            self._read_all(child, scope, is_class or (in_class and isinstance(node, ast.stmt)))

    def _read(self, node: ast.AST, scope: Scope, in_class: bool) -> None:
        names = self.attributes if in_class else self._names[scope]
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                self.imports[each.asname or each.name] = f"{node.module or ''}.{each.name}"
        elif isinstance(node, ast.Import):
            for each in node.names:
                full = each.name if each.asname else each.name.partition(".")[0]
                self.imports[each.asname or full] = full
        elif isinstance(node, Function):
            self.functions[node.name].append(node)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            self._shared.update(node.names)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind(target, Binding(node.value), names)
        elif isinstance(node, ast.AnnAssign):
            self._bind(node.target, Binding(node.value, node.annotation), names)
        elif isinstance(node, ast.AugAssign | ast.NamedExpr):
            self._bind(node.target, Binding(node.value), names)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._bind(node.target, Binding(), names)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._bind(node.optional_vars, Binding(), names)
        elif isinstance(node, ast.MatchAs | ast.MatchStar | ast.ExceptHandler) and node.name:
            names[node.name].append(Binding())

    def _bind(self, target: ast.expr, to: Binding, names: Mapping[str, list[Binding]]) -> None:
        if isinstance(target, ast.Name):
            names[target.id].append(to)
        elif isinstance(target, ast.Attribute):
            self.attributes[target.attr].append(to)
        elif isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._bind(each, to, names)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, to, names)


def name_of(function: ast.expr) -> str:
    """Returns the last name of what is called, such as ``execute``."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else "?"
