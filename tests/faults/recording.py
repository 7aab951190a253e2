"""A VFS of SQLite's own that tells what SQLite asks of the disk: writes, syncs, deletions.

It stands between the library of SQLite that Python's ``sqlite3`` uses and the operating system, as
`test6.c` of SQLite's test suite does (https://www.sqlite.org/testing.html). It is made with
``ctypes``, so it needs no compiler, no FUSE and no rights, and the driver is the real one: a
database is opened through it with ``file:PATH?vfs=NAME&uri=true``.
"""

import _sqlite3
import ctypes
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, TypeAlias

__all__ = [
    "Create",
    "Delete",
    "Mark",
    "Open",
    "Operation",
    "Recording",
    "Sync",
    "SyncDirectory",
    "Truncate",
    "Write",
    "recording",
]


class Create(NamedTuple):
    """A file that did not exist is opened. A file that is deleted and created is another one."""

    path: str
    file: int


class Open(NamedTuple):
    """A file that was there before the recording began is opened for the first time."""

    path: str
    file: int


class Write(NamedTuple):
    """Bytes are written to a file, from ``offset`` on."""

    file: int
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file is made ``size`` bytes long."""

    file: int
    size: int


class Sync(NamedTuple):
    """What was written to a file is made to last."""

    file: int


class SyncDirectory(NamedTuple):
    """What was created and deleted is made to last."""


class Delete(NamedTuple):
    """A file is deleted."""

    path: str


class Mark(NamedTuple):
    """Nothing happened on the disk: a client notes that it is there."""

    note: object


Operation: TypeAlias = Create | Open | Write | Truncate | Sync | SyncDirectory | Delete | Mark


class Recording:
    """What was done through the VFS.

    A write is entered when it has been made, and a sync when it begins: of what was written
    while it went on, nothing is certain.

    Attributes:
        vfs: the name to open databases with.
        operations: in the order in which they were made.
    """

    def __init__(self, vfs: str) -> None:
        self.vfs = vfs
        self.operations: list[Operation] = []

    def mark(self, note: object) -> None:
        """Enter where a client is."""
        self.operations.append(Mark(note))


@contextmanager
def recording() -> Iterator[Recording]:
    """Give a recording of what is done through a VFS of its own, until the block ends."""
    record = Recording(f"recording-{next(_numbers)}")
    vfs = _RecordingVfs(record)
    _check(_library.sqlite3_vfs_register(ctypes.byref(vfs.table), 0))
    try:
        yield record
    finally:
        _check(_library.sqlite3_vfs_unregister(ctypes.byref(vfs.table)))


# -- the structures of sqlite3.h ----------------------------------------------------------

_OPEN_DELETEONCLOSE = 0x8
_OPEN_CREATE = 0x4
_OPEN_NEEDS_DIRECTORY = 0x800 | 0x4000 | 0x80000  # journal, super-journal, WAL

_Number: TypeAlias = ctypes.c_int64
_Pointer: TypeAlias = ctypes.c_void_p

_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_char_p, ctypes.c_int)
_CLOSE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, _Number)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, _Number)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int)


class _Vfs(ctypes.Structure):
    _fields_: ClassVar = [
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", _Pointer),
        ("name", ctypes.c_char_p),
        ("data", _Pointer),
        ("open", _Pointer),
        ("delete", _Pointer),
        ("others", _Pointer * 14),  # version 3
    ]


class _Methods(ctypes.Structure):
    _fields_: ClassVar = [
        ("version", ctypes.c_int),
        ("close", _Pointer),
        ("read", _Pointer),
        ("write", _Pointer),
        ("truncate", _Pointer),
        ("sync", _Pointer),
        ("others", _Pointer * 13),  # version 3
    ]


def _load() -> Any:
    # What the driver's own module is linked with, or has in it.
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    return library


def _check(code: int) -> None:
    if code:
        raise OSError(f"SQLite answered with {code}")


_library = _load()
_numbers = itertools.count()


class _RecordingVfs:
    """SQLite's standard VFS, with a few functions that come in between."""

    def __init__(self, record: Recording) -> None:
        self._log = record.operations.append
        self._base = _library.sqlite3_vfs_find(None)
        self._files: dict[int, int] = {}  # address of an open sqlite3_file: number of the file
        self._known: dict[str, int] = {}  # path: number
        self._unsynced_entries: set[int] = set()  # files whose first sync is one of the directory
        self._methods: dict[int, _Methods] = {}  # address of the original: ours
        self._numbers = itertools.count()
        base = self._base.contents
        if base.version != 3:
            raise OSError(f"this is made for version 3 of SQLite's VFS, not {base.version}")
        self._open_file = _OPEN(base.open)
        self._delete_file = _DELETE(base.delete)
        self._callbacks = [_OPEN(self._open), _DELETE(self._delete)]
        self.table = _Vfs.from_buffer_copy(base)
        self.table.next = None
        self.table.name = record.vfs.encode()
        self.table.open, self.table.delete = map(_address, self._callbacks)

    def _open(self, vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
        path = os.fsdecode(ctypes.string_at(name)) if name else None
        is_new = path is not None and not os.path.exists(path)
        code = int(self._open_file(ctypes.addressof(self._base.contents), name, file, flags, out))
        if code or path is None or flags & _OPEN_DELETEONCLOSE:
            return code
        if is_new:
            number = self._known[path] = next(self._numbers)
            self._log(Create(path, number))
            if flags & _OPEN_CREATE and flags & _OPEN_NEEDS_DIRECTORY:
                self._unsynced_entries.add(number)
        elif path not in self._known:
            self._known[path] = next(self._numbers)
            self._log(Open(path, self._known[path]))
        self._files[file] = self._known[path]
        methods = ctypes.cast(file, ctypes.POINTER(_Pointer))
        if original := methods[0]:
            methods[0] = ctypes.addressof(self._recorded(original))
        return code

    def _delete(self, vfs: int, name: bytes, sync: int) -> int:
        code = int(self._delete_file(ctypes.addressof(self._base.contents), name, sync))
        path = os.fsdecode(name)
        if code == 0 and self._known.pop(path, None) is not None:
            self._log(Delete(path))
            if sync:
                self._log(SyncDirectory())
        return code

    def _recorded(self, address: int) -> _Methods:
        """Return the methods of an open file, with ours in between."""
        if address in self._methods:
            return self._methods[address]
        original = _Methods.from_address(address)
        if original.version != 3:
            raise OSError(f"this is made for version 3 of SQLite's files, not {original.version}")
        ours = self._methods[address] = _Methods.from_buffer_copy(original)
        for name, kind, wrap in (
            ("close", _CLOSE, self._close),
            ("write", _WRITE, self._write),
            ("truncate", _TRUNCATE, self._truncate),
            ("sync", _SYNC, self._sync),
        ):
            callback = kind(wrap(kind(getattr(original, name))))
            self._callbacks.append(callback)
            setattr(ours, name, _address(callback))
        return ours

    def _close(self, function: Callable[..., int]) -> Callable[..., int]:
        def close(file: int) -> int:
            self._files.pop(file, None)
            return function(file)

        return close

    def _write(self, function: Callable[..., int]) -> Callable[..., int]:
        def write(file: int, data: int, size: int, offset: int) -> int:
            code = function(file, data, size, offset)
            self._log(Write(self._files[file], offset, ctypes.string_at(data, size)))
            return code

        return write

    def _truncate(self, function: Callable[..., int]) -> Callable[..., int]:
        def truncate(file: int, size: int) -> int:
            code = function(file, size)
            self._log(Truncate(self._files[file], size))
            return code

        return truncate

    def _sync(self, function: Callable[..., int]) -> Callable[..., int]:
        def sync(file: int, flags: int) -> int:
            number = self._files[file]
            self._log(Sync(number))
            if number in self._unsynced_entries:
                self._unsynced_entries.discard(number)
                self._log(SyncDirectory())
            return function(file, flags)

        return sync


def _address(callback: Any) -> int | None:
    return ctypes.cast(callback, _Pointer).value
