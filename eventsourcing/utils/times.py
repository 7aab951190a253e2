"""Points in time. Everything here is an aware datetime in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["utc_now"]


def utc_now() -> datetime:
    """Returns the current time as an aware UTC datetime, with microseconds."""
    return datetime.now(UTC)
