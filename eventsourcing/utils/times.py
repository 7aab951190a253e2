"""Points in time. Everything here is an aware datetime in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

__all__ = ["utc_now"]

utc_now: Callable[[], datetime] = partial(datetime.now, UTC)
"""Returns the current time as an aware UTC datetime, with microseconds."""
