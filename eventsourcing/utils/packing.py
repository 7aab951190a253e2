"""Texts as bytes, compressed where that makes them smaller, and back within a bound.

The first byte says how: 0 for UTF-8 as it is, 1 for zlib (RFC 1950), 2 for Zstandard (RFC 8878).
"""

from __future__ import annotations

import sys
import zlib
from typing import Any, Literal, TypeAlias

from eventsourcing.exceptions import DecodeError, ProgrammingError

__all__ = [
    "LARGEST",
    "PLAIN",
    "Compression",
    "UnpackerMissing",
    "check_compression",
    "pack",
    "unpack",
]

Compression: TypeAlias = Literal["zlib", "zstd"]

LARGEST = 64 * 2**20
"""Bytes that may come of what was compressed, unless another bound is given."""

PLAIN, ZLIB, ZSTD = b"\0", b"\1", b"\2"


class UnpackerMissing(ProgrammingError):
    """The package that packs and unpacks is not installed."""


def check_compression(name: str | None) -> None:
    """Checks that there is such a compression.

    Raises:
        ProgrammingError: there is not, or its package is not installed.
    """
    if name not in (None, "zlib", "zstd"):
        raise ProgrammingError(f"compression= takes 'zlib' or 'zstd', not {name!r}")
    if name == "zstd":
        _zstd()


def pack(text: str, compression: Compression | None = None, largest: int = LARGEST) -> bytes:
    """Returns the text as bytes; not compressed if that would make it longer, or if it has more
    than ``largest`` bytes, which :func:`unpack` would refuse.
    """
    data = text.encode()
    if compression is None or len(data) > largest:
        return PLAIN + data
    if compression == "zlib":
        packed = ZLIB + zlib.compress(data)
    else:
        zstd = _zstd()
        with_checksum = {zstd.CompressionParameter.checksum_flag: 1}
        packed = ZSTD + zstd.compress(data, options=with_checksum)
    return packed if len(packed) < len(data) else PLAIN + data


def unpack(data: bytes, largest: int = LARGEST) -> str:
    """Returns the text that was packed.

    Args:
        largest: bytes that it may have. More is refused, however much there is. To find that out
            takes twice as much memory as this, and for a window of Zstandard's up to twice as much
            again.

    Raises:
        DecodeError: it is not what :func:`pack` returns, or would be larger.
        UnpackerMissing: what has to unpack it is not installed.
    """
    how, body = data[:1], data[1:]
    if how == ZLIB:
        body = _unpacked(zlib.decompressobj(), body, largest, zlib.error)
    elif how == ZSTD:
        zstd = _zstd()
        # A window is memory too, which a frame asks for. Of 2**10 bytes at least.
        log = max(10, (largest - 1).bit_length())
        options = {zstd.DecompressionParameter.window_log_max: min(log, 30)}
        body = _unpacked(zstd.ZstdDecompressor(options=options), body, largest, zstd.ZstdError)
    elif how != PLAIN:
        raise DecodeError("it is compressed in a way that is not known")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise DecodeError("it is no UTF-8") from None  # the cause holds the payload


def _unpacked(reader: Any, data: bytes, largest: int, error_class: type[Exception]) -> bytes:
    try:
        unpacked: bytes = reader.decompress(data, largest + 1)
    except (error_class, MemoryError):
        raise DecodeError("it is damaged where it is compressed") from None
    if len(unpacked) > largest:
        raise DecodeError(f"it would unpack to more than {largest} bytes (max_unpacked=)")
    if not reader.eof or reader.unused_data:
        raise DecodeError("it is damaged where it is compressed")
    return unpacked


def _zstd() -> Any:
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError as error:
        raise UnpackerMissing(
            "Zstandard is not installed: take Python 3.14, or pip install 'eventsourcing[zstd]'"
        ) from error
    return zstd
