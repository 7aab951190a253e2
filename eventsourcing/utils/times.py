"""Points in time. Everything here is an aware datetime in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

__all__ = ["is_utc", "utc_now"]

utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Returns the current time as an aware UTC datetime, with microseconds."""


def is_utc(moment: datetime) -> bool:
    """Tells whether ``moment`` is aware, and in UTC."""
    return moment.tzinfo is UTC or moment.utcoffset() == timedelta(0)
