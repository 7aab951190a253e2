"""Makes an engine of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Dialect, Engine, create_engine, event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from eventsourcing.exceptions import ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.pools import SteadyPool

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings

__all__ = ["check_sync", "make_engine"]


def make_engine(settings: SQLAlchemySettings, driver: Driver) -> Engine:
    """Returns an engine in autocommit mode, which has not connected yet.

    Raises:
        ProgrammingError: the URI names a driver that is not installed, or cannot be used.
    """
    url = settings.url
    is_memory = driver.is_in_memory(url)
    try:
        check_sync(url.get_dialect())
        engine = create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            poolclass=SteadyPool,
            # One connection is one database there: all threads take turns.
            pool_size=1 if is_memory else settings.pool_size,
            max_overflow=0 if is_memory else settings.max_overflow,
            pool_timeout=settings.pool_timeout,
            pool_reset_on_return=None,  # a connection comes back with nothing open
            connect_args=driver.connect_args(settings, url),
            hide_parameters=True,
        )
    except NoSuchModuleError:
        raise ProgrammingError(f"SQLAlchemy knows no driver {url.drivername!r}") from None
    except ArgumentError as error:
        raise ProgrammingError(f"the database URI cannot be used: {error}") from error
    except ImportError as error:
        is_ours = driver.extra and url.drivername == driver.name
        remedy = f": pip install 'eventsourcing[{driver.extra}]'" if is_ours else ""
        raise ProgrammingError(f"the driver {url.drivername!r} is not installed{remedy}") from error

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, record: object) -> None:
        try:
            driver.on_connect(connection, settings)
        except BaseException:
            connection.close()  # the pool does not know it yet
            raise

    return engine


def check_sync(dialect: type[Dialect] | Dialect) -> None:
    """Refuses drivers for asyncio.

    Raises:
        ProgrammingError: the dialect's driver is one.
    """
    if dialect.is_async:
        raise ProgrammingError(
            f"{dialect.name}+{dialect.driver} is a driver for asyncio; the library works with"
            " synchronous ones"
        )
