"""Keys that sign: Ed25519 (RFC 8032), of the package ``cryptography``."""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from eventsourcing.exceptions import ProgrammingError

__all__ = ["PublicKey", "SigningKey"]

_BYTES = 32
_TEXT = re.compile(r"(ed25519-secret|ed25519):([A-Za-z0-9+/]{43}=)")


def _from_text(kind: str, what: str, text: str) -> bytes:
    found = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or found[1] != kind:
        raise ProgrammingError(f"{what} is a text of {kind}: and 44 characters")
    return b64decode(found[2])


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise ProgrammingError(
            "signatures need the package cryptography: pip install 'eventsourcing[crypto]'"
        ) from error
    return ed25519


@dataclass(frozen=True)
class PublicKey:
    """Checks what was signed. No secret.

    Attributes:
        data: 32 bytes.
    """

    data: bytes

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Returns the key that :attr:`text` gave.

        Raises:
            ProgrammingError: it is no such text.
        """
        return cls(_from_text("ed25519", "a public key", text))

    @property
    def text(self) -> str:
        """The key as one line."""
        return f"ed25519:{b64encode(self.data).decode()}"

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Tells whether the signature is of this key and this message."""
        from cryptography.exceptions import InvalidSignature

        try:
            _ed25519().Ed25519PublicKey.from_public_bytes(self.data).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """Signs. Its ``repr`` does not show it.

    Attributes:
        secret: 32 bytes, from a source of random bytes for cryptography.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def new(cls) -> SigningKey:
        """Returns a new key."""
        return cls(os.urandom(_BYTES))

    @classmethod
    def from_text(cls, text: str) -> SigningKey:
        """Returns the key that :attr:`text` gave.

        Raises:
            ProgrammingError: it is no such text. The message does not show it.
        """
        return cls(_from_text("ed25519-secret", "a signing key", text))

    @property
    def text(self) -> str:
        """The key as one line. It is a secret."""
        return f"ed25519-secret:{b64encode(self.secret).decode()}"

    @property
    def public(self) -> PublicKey:
        """What checks this key's signatures."""
        return PublicKey(self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Returns the signature of a message, 64 bytes."""
        signature: bytes = self._private.sign(message)
        return signature

    @property
    def _private(self) -> Any:
        return _ed25519().Ed25519PrivateKey.from_private_bytes(self.secret)
