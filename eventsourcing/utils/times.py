"""Points in time. Everything here is an aware datetime in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from eventsourcing.exceptions import InvalidMoment

__all__ = ["is_utc", "moment_from", "utc_now"]

utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Returns the current time as an aware UTC datetime, with microseconds."""


def is_utc(moment: datetime) -> bool:
    """Tells whether ``moment`` is aware, and in UTC."""
    return moment.tzinfo is UTC or moment.utcoffset() == timedelta(0)


def moment_from(given: datetime | str) -> datetime:
    """Returns a point in time in UTC.

    Args:
        given: an aware datetime, or a text that ``dateutil.parser.parse`` reads, which has a whole
            date, a time of day and an offset from UTC (``Z``, ``UTC``, ``+02:00``) of less than a
            day. Names of zones are refused: most stand for several zones. Minutes and seconds that
            are left out are 0.

    Raises:
        InvalidMoment: it is something else.
    """
    moment = _parsed(given) if isinstance(given, str) else given
    if not isinstance(moment, datetime):
        raise InvalidMoment(f"a point in time is a datetime or a text, not {type(given).__name__}")
    try:
        if moment.utcoffset() is not None:
            return moment.astimezone(UTC)
    except (OverflowError, ValueError):  # of a year before 1, or an offset of a day and more
        raise InvalidMoment(f"{repr(given)[:100]} is no time in UTC") from None
    raise InvalidMoment(f"{given!r} has no offset from UTC, such as Z or +02:00")


def _parsed(text: str) -> datetime:
    from dateutil import parser, tz  # here: it takes its time, and is seldom needed

    def zone(name: str | None, offset: int | None) -> tz.tzoffset | None:
        return None if offset is None else tz.tzoffset(None, offset)

    days = (datetime(2000, 1, 1), datetime(2004, 2, 2))  # for what the text leaves out
    try:
        one, other = (parser.parse(text, default=day, tzinfos=zone) for day in days)
    except (ValueError, OverflowError) as error:
        raise InvalidMoment(
            f"{text[:100]!r} cannot be read as a time. Give a date, a time of day and an offset, as"
            " in 2024-02-29T12:00Z"
        ) from error
    if one.replace(tzinfo=None) != other.replace(tzinfo=None):
        raise InvalidMoment(f"{text[:100]!r} has no whole date")
    return one
