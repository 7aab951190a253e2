"""Keys, and what is encrypted with them: AES-GCM with 256 bits, of the package ``cryptography``.

Each message has a nonce of 96 random bits. With so many, one key may encrypt 2**32 messages before
the chance that two have the same nonce is worth a thought (NIST SP 800-38D, section 8.3).
"""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from eventsourcing.exceptions import DecodeError, ProgrammingError
from eventsourcing.utils.lazy import lazy

__all__ = ["KEY_ID", "CipherKey", "Keyring", "framed", "unframed"]

KEY_ID = r"[A-Za-z0-9_.-]{1,64}"
KEY_BYTES, NONCE_BYTES, CHECK_BYTES = 32, 12, 4

_KEY_TEXT = re.compile(f"({KEY_ID}):([A-Za-z0-9+/]{{48}})")
_SEPARATOR = re.compile(r"[\s,]+")


@dataclass(frozen=True)
class CipherKey:
    """A key for AES-GCM. Its ``repr`` shows the id alone.

    Attributes:
        id: by which what is encrypted names its key: 1 to 64 letters, digits and ``_.-``.
        secret: 32 bytes, from a source of random bytes for cryptography.

    Raises:
        ProgrammingError: the id or the secret is something else.
    """

    id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not re.fullmatch(KEY_ID, self.id):
            raise ProgrammingError("the id of a key is 1 to 64 ASCII letters, digits and _.-")
        if type(self.secret) is not bytes or len(self.secret) != KEY_BYTES:
            raise ProgrammingError(f"the secret of the key {self.id!r} must be 32 bytes")

    @classmethod
    def new(cls, id: str | None = None) -> CipherKey:
        """Returns a new key.

        Args:
            id: by default today's date, and four random digits.
        """
        if id is None:
            id = f"{datetime.now(UTC):%Y%m%d}-{os.urandom(2).hex()}"
        return cls(id, os.urandom(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> CipherKey:
        """Returns the key that :attr:`text` gave.

        Raises:
            ProgrammingError: it is no such text, or was mistyped. The message does not show it.
        """
        found = _KEY_TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ProgrammingError(
                "a cipher key is a text as `python -m eventsourcing keys new` prints it"
            )
        data = b64decode(found[2])
        key = cls(found[1], data[:KEY_BYTES])
        if key._check != data[KEY_BYTES:]:
            raise ProgrammingError(f"the text of the cipher key {key.id!r} has been mistyped")
        return key

    @property
    def text(self) -> str:
        """The key as text, its secret included: the id, a colon, and 48 characters."""
        return f"{self.id}:{b64encode(self.secret + self._check).decode()}"

    def encrypt(self, data: bytes, bound_to: bytes) -> bytes:
        """Returns a new nonce, and the encrypted data with its tag.

        Args:
            bound_to: what must be given again to decrypt the data.
        """
        nonce = os.urandom(NONCE_BYTES)
        encrypted: bytes = self._aead.encrypt(nonce, data, bound_to)
        return nonce + encrypted

    def decrypt(self, data: bytes, bound_to: bytes) -> bytes:
        """Returns what was given to :meth:`encrypt`.

        Raises:
            DecodeError: it is not what was encrypted with this key, and bound to this.
        """
        from cryptography.exceptions import InvalidTag

        try:
            decrypted: bytes = self._aead.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound_to)
        except (InvalidTag, ValueError):
            raise DecodeError(
                f"it is not what was encrypted with the key {self.id!r} for this place: it is"
                " damaged, was moved, or that was another key"
            ) from None
        return decrypted

    @property
    def _check(self) -> bytes:
        """Tells a mistyped text."""
        return sha256(f"eventsourcing {self.id}:".encode() + self.secret).digest()[:CHECK_BYTES]

    @lazy
    def _aead(self) -> Any:
        try:
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ProgrammingError(
                "encryption needs the package cryptography: pip install 'eventsourcing[crypto]'"
            ) from error
        return AESGCM(self.secret)


class Keyring:
    """Keys by their ids: one encrypts, and all decrypt.

    Args:
        current: the key that encrypts.
        others: which encrypted before it, or will after it.

    Raises:
        ProgrammingError: one of them is no key, or two have the same id.
    """

    def __init__(self, current: CipherKey, *others: CipherKey) -> None:
        self.current = current
        self._keys: dict[str, CipherKey] = {}
        for key in (current, *others):
            if not isinstance(key, CipherKey):
                raise ProgrammingError(f"a keyring takes CipherKeys, not a {type(key).__name__}")
            if key.id in self._keys:
                raise ProgrammingError(f"a keyring has two keys with the id {key.id!r}")
            self._keys[key.id] = key

    @classmethod
    def from_text(cls, text: str) -> Keyring:
        """Returns the keyring of the keys' texts, with spaces, commas or lines between. The first
        one is the current one.

        Raises:
            ProgrammingError: it is no such text. The message does not show it.
        """
        if not isinstance(text, str):
            raise ProgrammingError(f"a cipher key is a text, not a {type(text).__name__}")
        return cls(*map(CipherKey.from_text, _SEPARATOR.split(text.strip(" \t\r\n,"))))

    def get(self, key_id: str) -> CipherKey | None:
        """Returns the key with this id, or None."""
        return self._keys.get(key_id)

    def __iter__(self) -> Iterator[CipherKey]:
        return iter(self._keys.values())

    def __repr__(self) -> str:
        return f"Keyring({', '.join(map(repr, self._keys))})"


def framed(*parts: str | None) -> bytes:
    """Returns the parts as bytes, each after its length: no other parts give the same.

    That is in UTF-8, the length in 8 bytes, big-endian; and None is the length 2**64 - 1 alone.
    """
    encoded = [None if part is None else part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(
        b"\xff" * 8 if each is None else len(each).to_bytes(8, "big") + each for each in encoded
    )


def unframed(data: bytes) -> list[str | None]:
    """Returns the parts that :func:`framed` was given.

    Raises:
        DecodeError: it is not what that returns. The message does not show it.
    """
    found: list[str | None] = []
    while data:
        head, data = data[:8], data[8:]
        if head == b"\xff" * 8:
            found.append(None)
            continue
        length = int.from_bytes(head, "big")
        if len(head) < 8 or length > len(data):
            raise DecodeError("a part is cut off")
        try:
            found.append(data[:length].decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise DecodeError("a part is no UTF-8") from None  # the cause holds it
        data = data[length:]
    return found
