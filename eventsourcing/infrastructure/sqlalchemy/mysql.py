"""MariaDB and MySQL, through PyMySQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from eventsourcing.exceptions import (
    ConstraintViolation,
    DatabaseUnavailable,
    DiskFull,
    LockTimeout,
    PersistenceError,
    ProgrammingError,
    ReadOnlyDatabase,
    SequencedItemConflict,
    TableNotFound,
    TransactionConflict,
    ValueTooLarge,
)
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.gaps import GapRule
from eventsourcing.infrastructure.sqlalchemy.mysqlgaps import MySQLGaps
from eventsourcing.infrastructure.sqlalchemy.statements import Write

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import (
        SQLAlchemyDatastore,
        SQLAlchemySettings,
    )
    from eventsourcing.infrastructure.sqlalchemy.feedstatements import FeedStatements

__all__ = ["MariaDBDriver", "MySQLDriver"]

_CODES: Mapping[type[PersistenceError], tuple[int, ...]] = {
    SequencedItemConflict: (1062, 1586),
    ConstraintViolation: (1048, 1216, 1217, 1263, 1364, 1451, 1452, 1557, 1761, 1762, 3819, 4025),
    TransactionConflict: (1020, 1213, 1412, 1613, 1614),
    # and statements that were cancelled, or took too long
    LockTimeout: (1205, 1317, 1969, 3024, 3572),
    ReadOnlyDatabase: (1036, 1223, 1290, 1792, 1836, 1874),
    DiskFull: (3, 20, 1021, 1114),
    TableNotFound: (1054, 1109, 1146),
    ValueTooLarge: (1118, 1153, 1162, 1264, 1301, 1406, 1690),
    DatabaseUnavailable: (
        *(0, 1040, 1042, 1043, 1044, 1045, 1047, 1049, 1053, 1077, 1078, 1079, 1080, 1081),
        *(1129, 1130, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1251, 1698, 1820, 1862),
        *(1927, 3118, 3159, 3169, 4031, 4151),
    ),
}
_ERRORS = {code: cls for cls, codes in _CODES.items() for code in codes}
# What the operating system says, if it is why the storage engine failed: ENOSPC.
_NO_SPACE = re.compile(r"\b(?:errno|Errcode|error):? 28\b|No space left on device")
_CLIENT_ERRORS = range(2000, 3000)  # all of them are the connection's
_READS_AND_WRITES = 7  # of wsrep_sync_wait
_COMMIT_FAILED = 1180  # as on a node of Galera that has lost the others

_DUPLICATE = re.compile(r"Duplicate entry '.*' for key '(?P<key>.*)'", re.DOTALL)
_VALUE = re.compile(r"(\bvalue:?|Duplicate entry) '.*'(?= for )", re.DOTALL)
_EXTRA_SPACE = 1000  # of a packet, for the statement and short values
_LEAST_TO_BATCH = 1_100_000  # PyMySQL makes of many rows statements of up to 1,024,000 bytes
LARGEST_STATEMENT = 2**20  # what is larger goes in several
MOST_AS_DIGITS = 10_000  # characters of a row; of what is longer, the digits would fill packets
_MARK = re.compile("(?<!%)%s")

_packet_limits: WeakKeyDictionary[Engine, int] = WeakKeyDictionary()


def _length(row: Sequence[Any]) -> int:
    return sum([len(value) for value in row if isinstance(value, str | bytes)])


def _as_digits(sql: str, row: Sequence[Any], most: int) -> tuple[str, Sequence[Any]]:
    """Returns the SQL for a row, and its values. Up to so many characters go as hexadecimal digits,
    which PyMySQL writes at once: in a text with quotation marks, as JSON is, it escapes one
    character after the other.
    """
    if _length(row) > most:
        return sql, row
    are_texts = tuple([type(value) is str for value in row])
    return _with_digits(sql, are_texts), [v.encode() if type(v) is str else v for v in row]


@lru_cache
def _with_digits(sql: str, are_texts: Sequence[bool]) -> str:
    """Returns the SQL with marks for bytes that are texts all the same."""
    marks = iter(["_utf8mb4 %s" if is_text else "%s" for is_text in are_texts])
    return _MARK.sub(lambda _: next(marks), sql)


def _may_lag_behind(cursor: Any) -> bool:
    """Tells whether this is a node of a Galera cluster that answers before it has applied what
    others have acknowledged, since nobody has set it to anything else.
    """
    cursor.execute("SHOW VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_sync_wait')")
    found = dict(cursor.fetchall())
    return found.get("wsrep_on") == "ON" and found.get("wsrep_sync_wait") == "0"


def _packet(sql: str) -> int:
    """Returns the bytes of a packet with this command, in which PyMySQL may have bytes as text."""
    return len(sql.encode("utf-8", "surrogateescape")) + 1


class MySQLDriver(Driver):
    """MySQL and MariaDB. Own connections are in strict mode: a value is never cut."""

    name = "mysql+pymysql"
    extra = "mysql"
    ddl_commits = True
    checks_writes = True
    fences_gaps = True

    _packet_limit = 0
    _most_digits = 0

    def classify(self, error: BaseException) -> type[PersistenceError]:
        """See :class:`Driver`."""
        code = error.args[0] if error.args else None
        if isinstance(error, OSError):
            return DatabaseUnavailable
        if isinstance(code, int):
            if code in _ERRORS:
                return _ERRORS[code]
            if _NO_SPACE.search(str(error)):
                return DiskFull
            lost = code in _CLIENT_ERRORS or code == _COMMIT_FAILED
            return DatabaseUnavailable if lost else PersistenceError
        names = ("InterfaceError", "InternalError")
        return DatabaseUnavailable if type(error).__name__ in names else PersistenceError

    def message(self, error: BaseException) -> str:
        """See :class:`Driver`."""
        text = " ".join(str(part) for part in error.args) or type(error).__name__
        return _VALUE.sub(r"\1", text)

    def violated_key(self, error: BaseException) -> str | frozenset[str] | None:
        """See :class:`Driver`. The key's name, which for MySQL 8 follows the table's."""
        found = _DUPLICATE.search(str(error.args[-1]))
        return found["key"].rpartition(".")[2] if found else None

    def connect_args(self, settings: SQLAlchemySettings, url: URL) -> dict[str, Any]:
        """See :class:`Driver`."""
        args: dict[str, Any] = {"charset": "utf8mb4"}
        if "connect_timeout" not in url.query:
            args["connect_timeout"] = settings.connect_timeout
        return args

    def on_connect(self, connection: Any, settings: SQLAlchemySettings) -> None:
        """See :class:`Driver`."""
        command = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"
        if settings.lock_timeout is not None:
            seconds = max(1, round(settings.lock_timeout))
            command += f", innodb_lock_wait_timeout = {seconds}"
        with connection.cursor() as cursor:
            if _may_lag_behind(cursor):
                command += f", wsrep_sync_wait = {_READS_AND_WRITES}"
            cursor.execute(command)

    def is_autocommit(self, connection: Any) -> bool:
        """See :class:`Driver`."""
        return bool(connection.get_autocommit())

    def prepare(self, engine: Engine, cursor: Any, write: Write) -> Write:
        """See :class:`Driver`. A batch is one statement, if a packet takes it: that is atomic."""
        if engine.dialect.driver != "pymysql":
            self.check(engine, cursor, write)
            return write
        most = min(self._limit(engine, cursor), LARGEST_STATEMENT)
        if write.many and sum(map(_length, write.parameters)) < most:
            before, values, marks = write.sql.rpartition("VALUES ")
            rows = [_as_digits(marks, row, self._most_digits) for row in write.parameters]
            sql = before + values + ", ".join([marks for marks, _ in rows])
            # written with its values now, since only that shows how large it is
            sql = cursor.mogrify(sql, [value for _, row in rows for value in row])
            if _packet(sql) < most:
                return Write(sql, None)
        self.check(engine, cursor, write)
        return (
            write
            if write.many
            else Write(*_as_digits(write.sql, write.parameters, self._most_digits))
        )

    def check(self, engine: Engine, cursor: Any, write: Write) -> None:
        """See :class:`Driver`. To a packet that is too large the server answers by hanging up."""
        limit = self._limit(engine, cursor)
        most_characters = (limit - _EXTRA_SPACE) // 4  # of up to 4 bytes each
        for row in write.parameters if write.many else (write.parameters,):
            if _length(row) < most_characters:
                continue
            size = _packet(cursor.mogrify(write.sql, row))
            if size >= limit and size >= (limit := self._ask(engine, cursor)):
                raise ValueTooLarge(
                    f"an event needs a packet of {size} bytes, and the server takes less than"
                    f" {limit} (max_allowed_packet)"
                )

    def gap_rule(self, statements: FeedStatements, datastore: SQLAlchemyDatastore) -> GapRule:
        """See :class:`Driver`."""
        return MySQLGaps(statements, datastore)

    def forget(self, engine: Engine) -> None:
        """See :class:`Driver`."""
        _packet_limits.pop(engine, None)
        self._packet_limit = 0

    def _limit(self, engine: Engine, cursor: Any) -> int:
        if not self._packet_limit:
            self._packet_limit = _packet_limits.get(engine) or self._ask(engine, cursor)
            self.batches = self._packet_limit >= _LEAST_TO_BATCH
            # What is older than PyMySQL 1.2 writes bytes otherwise, and no sooner than texts.
            is_pymysql = engine.dialect.driver == "pymysql"
            if is_pymysql and cursor.mogrify("%s", [b""]).startswith("X'"):
                self._most_digits = min(MOST_AS_DIGITS, (self._packet_limit - _EXTRA_SPACE) // 8)
        return self._packet_limit

    def _ask(self, engine: Engine, cursor: Any) -> int:
        cursor.execute("SELECT @@max_allowed_packet, @@sql_mode")
        limit, mode = cursor.fetchone()
        if "STRICT" not in mode:
            raise ProgrammingError(
                "the engine's connections are not in strict mode, and so the server would cut"
                " values that are too long: add STRICT_ALL_TABLES to their sql_mode"
            )
        _packet_limits[engine] = self._packet_limit = int(limit)
        return int(limit)


class MariaDBDriver(MySQLDriver):
    """MariaDB, where the URI says so."""

    name = "mariadb+pymysql"
