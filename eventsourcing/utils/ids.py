"""The ids of entities: UUIDs by default; strings and ints too. All go into one text column.

The stored form names the type, so that ``5`` and ``"5"`` are different ids and each comes back
as what it was:

=================  =====================================================  ====================
id                 form                                                   stored as
=================  =====================================================  ====================
``uuid.UUID``      any                                                    ``8-4-4-4-12`` digits
``int``            -2**63 to 2**63 - 1                                    ``#5``
``str``            1 to 255 printable characters, no surrounding spaces   itself
``str`` that       looks like a UUID, or begins with ``#`` or ``'``       ``'`` and itself
=================  =====================================================  ====================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import msgspec

from eventsourcing.exceptions import InvalidOriginatorID

__all__ = ["check_id", "digest_of", "id_from_text", "id_to_text"]

MAX_LENGTH = 255

_UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_id(value: object) -> UUID | str | int:
    """Returns ``value`` if it can be the id of an entity.

    Raises:
        InvalidOriginatorID: it is none of the forms in this module's table.
    """
    if type(value) is UUID:
        return value
    if type(value) is int and -(2**63) <= value < 2**63:
        return value
    if type(value) is str:
        if 0 < len(value) <= MAX_LENGTH and value.isprintable() and value.strip() == value:
            return value
        raise InvalidOriginatorID(
            "a string id has 1 to 255 printable characters and no space at either end;"
            f" this one has {len(value)} characters"
        )
    raise InvalidOriginatorID(
        f"an id is a UUID, a string, or an int of 64 bits, not {type(value).__name__}"
    )


def id_to_text(value: object) -> str:
    """Returns the stored form of an id.

    Raises:
        InvalidOriginatorID: as :func:`check_id`.
    """
    if type(value) is UUID:
        return msgspec.to_builtins(value)  # type: ignore[no-any-return]  # quicker than str()
    text = str(check_id(value))
    if type(value) is int:
        return f"#{text}"
    escaped = text[0] in "#'" or _UUID_TEXT.fullmatch(text)
    return f"'{text}" if escaped else text


def id_from_text(text: str) -> UUID | str | int:
    """Returns the id that is stored as ``text``.

    Raises:
        InvalidOriginatorID: the text is no stored form of an id.
    """
    if len(text) == 36 and _UUID_TEXT.fullmatch(text):
        return msgspec.convert(text, UUID)  # quicker than UUID()
    if text.startswith("#"):
        try:
            return int(text[1:])
        except ValueError as error:
            raise InvalidOriginatorID("a stored id begins with '#' but is no number") from error
    return text[1:] if text.startswith("'") else text


def digest_of(fields: Sequence[object]) -> str:
    """Returns 32 hexadecimal digits for an id and further values, all of which they depend on."""
    texts = [id_to_text(fields[0]), *map(str, fields[1:])]
    return sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]
