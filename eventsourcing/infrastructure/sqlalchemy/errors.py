"""From the errors of SQLAlchemy and of drivers to the library's."""

from __future__ import annotations

from typing import Any, NoReturn

from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from eventsourcing.exceptions import (
    ConstraintViolation,
    DatabaseUnavailable,
    EventSourcingError,
    PersistenceError,
    TableNotFound,
)
from eventsourcing.infrastructure.sqlalchemy.driver import Driver

__all__ = ["Translator"]


class Translator:
    """Turns errors of one dialect and its driver into :class:`PersistenceError`."""

    def __init__(self, driver: Driver, dialect: Dialect) -> None:
        self._driver = driver
        self._dialect = dialect

    def class_of(self, error: BaseException) -> type[PersistenceError] | None:
        """Returns the class to raise instead; None for what comes from elsewhere, or is ours."""
        original = original_of(error)
        dbapi: Any = self._dialect.loaded_dbapi
        if isinstance(original, EventSourcingError):
            return None
        if isinstance(original, PoolTimeout):
            return DatabaseUnavailable
        if isinstance(original, SQLAlchemyError | UnicodeError):
            return PersistenceError
        if isinstance(original, dbapi.Error | OSError | OverflowError):
            return self._driver.classify(original)
        return None

    def is_foreign(self, error: BaseException) -> bool:
        """Whether it is neither the database's nor the library's, but came in between: Ctrl-C, or
        what a signal handler raised, such as a job's time limit.
        """
        return self.class_of(error) is None and not isinstance(error, EventSourcingError)

    def is_breaking(self, error: BaseException) -> bool:
        """Whether it may leave its connection of no use, or in the middle of an answer: all does
        but the database's own answers, and what the library or SQLAlchemy refuses to send.
        """
        if self._driver.takes_turns:
            return False  # SQLite's calls end before Python takes notice of an interrupt
        original = original_of(error)
        dbapi: Any = self._dialect.loaded_dbapi
        if isinstance(original, dbapi.Error):
            return self._driver.classify(original) is DatabaseUnavailable
        return not isinstance(original, EventSourcingError | SQLAlchemyError)

    def message_of(self, error: BaseException, cls: type[PersistenceError]) -> str:
        """Returns what happened, without values of a row."""
        original = original_of(error)
        if isinstance(original, UnicodeError):
            return f"a text cannot be encoded for the database: {original.reason}"  # type: ignore[attr-defined]
        if isinstance(original, SQLAlchemyError):
            return str(original).partition(" Original exception")[0].partition("\n")[0]
        message = self._driver.message(original).rstrip()
        if cls is TableNotFound:
            message += (
                ". Create the table with setup_table=True, or by a migration (docs: how-to/alembic)"
            )
        return message

    def raise_for(
        self, error: BaseException, cls: type[PersistenceError] | None = None
    ) -> NoReturn:
        """Raises the library's error for ``error``, or ``error`` itself if there is none.

        Args:
            cls: the class to raise, if it is known.
        """
        found = self.class_of(error)
        if found is None:
            raise error
        translated = (cls or found)(self.message_of(error, found))
        if isinstance(translated, ConstraintViolation):
            raise translated from None  # the driver's message shows the row
        # SQLAlchemy's own error is left out: it shows the statement's parameters.
        raise translated from original_of(error)


def original_of(error: BaseException) -> BaseException:
    """Returns the driver's error, if SQLAlchemy has wrapped one."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig
    return error
