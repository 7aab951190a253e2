"""A clock for programs that are told to use it, which is stepped, or stands still.

It is libfaketime's (https://github.com/wolfcw/libfaketime), loaded before the C library. What the
system calls its monotonic clock goes on, as it does when somebody sets the time of a machine.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from tests.servers.locate import faketime_library

__all__ = ["FakeClock"]

LEFT_OVER = ("faketime_shm_", "sem.faketime_sem_")
SHARED_MEMORY = Path("/dev/shm")


class FakeClock:
    """Works inside a ``with`` block, in which it shows the right time at first.

    Args:
        directory: that all may read who use the clock.

    Attributes:
        environment: variables of those who use the clock.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def step(self, days: int) -> None:
        """Show a time so many days from the right one, and go on from there."""
        self._write(f"{days * 86_400:+}")

    def stop(self, days: int) -> None:
        """Show a time so many days from the right one, and stand still."""
        self._write((datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S"))

    def __enter__(self) -> Self:
        self.step(0)
        return self

    def __exit__(self, *exception: object) -> None:
        for prefix in LEFT_OVER:
            for path in SHARED_MEMORY.glob(f"{prefix}*"):
                if not Path("/proc", path.name.removeprefix(prefix)).exists():
                    with suppress(OSError):  # another user's, or gone
                        path.unlink()

    def _write(self, text: str) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(text + "\n")
        new.chmod(0o644)
        os.replace(new, self._file)  # nobody reads half of it
