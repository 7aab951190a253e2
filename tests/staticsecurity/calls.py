"""Finds what runs, imports or unpickles whatever it is given."""

import ast
import re
from collections.abc import Iterator

__all__ = ["dangers"]

FUNCTIONS = {"eval", "exec", "__import__", "__builtins__", "import_module", "reload"}
FUNCTIONS |= {"system", "popen", "Popen", "startfile", "create_subprocess_exec"}
FUNCTIONS |= {"create_subprocess_shell", "subprocess_exec", "subprocess_shell"}
FUNCTIONS |= {"run_path", "run_module", "resolve_name", "spec_from_file_location"}
FUNCTIONS |= {"spec_from_loader", "module_from_spec", "exec_module", "load_module"}
FUNCTIONS |= {"SourceFileLoader", "SourcelessFileLoader", "ExtensionFileLoader"}
FUNCTIONS |= {"PickleType", "ProcessPoolExecutor", "CDLL"}
OF_OS = re.compile(r"(exec|spawn)[lv]p?e?|posix_spawnp?")
MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "jsonpickle", "joblib", "marshal"}
MODULES |= {"shelve", "yaml", "subprocess", "_posixsubprocess", "pty", "multiprocessing", "ctypes"}
MODULES |= {"_ctypes", "cffi", "runpy", "pkgutil", "imp", "zipimport", "code", "codeop", "builtins"}


def dangers(source: str) -> Iterator[tuple[int, str]]:
    """Yields the functions and modules that are dangerous, wherever they are named, and the line.

    They are told when they are called, imported by whatever name, given to a variable, or written
    as a text, as for ``getattr``.
    """
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        match node:
            case ast.Name(id=name):
                names = [name]
                if name == "compile":  # but not re.compile, and other methods of that name
                    yield node.lineno, name
            case ast.Attribute(attr=name):
                names = [name]
            case ast.Constant(value=str(name)):
                names = [name]
            case ast.Import(names=imported):
                names = [each.name for each in imported]
            case ast.ImportFrom(module=module, names=imported):
                names = [module or "", *(each.name for each in imported)]
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        for name in names:
            is_module = is_import and name.partition(".")[0] in MODULES
            if is_module or name in FUNCTIONS or OF_OS.fullmatch(name):
                yield getattr(node, "lineno", 0), name
