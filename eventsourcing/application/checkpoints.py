"""Checkpoints: a signed hash of all events up to a position of the feed.

Who keeps the last one outside of the database can tell later that nothing before it was changed,
added or removed. The hash is the root of a Merkle tree (:mod:`eventsourcing.utils.merkle`) over
the events in the order of the feed. So a short proof shows that one event is among them, without
showing any other: each entry has the event's random id, by which nobody can guess it from its hash.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from eventsourcing.exceptions import DataIntegrityError, ProgrammingError
from eventsourcing.infrastructure.sequenceditem import ChainedEvent
from eventsourcing.utils.cipher import framed, unframed
from eventsourcing.utils.ids import id_to_text
from eventsourcing.utils.merkle import leaf_hash, root_of_proof
from eventsourcing.utils.signing import PublicKey, SigningKey

__all__ = ["Checkpoint", "Proof", "check_is_checkpoint", "check_signs", "entry_of"]

FORMAT = 1
HASH_BYTES = 32


def entry_of(position: int, item: tuple[Any, ...]) -> bytes:
    """Returns what of an event is hashed: its position in the feed, and all fields of its item.

    Each as its text, as :func:`eventsourcing.utils.cipher.framed` has it. The hash of a chain is
    left out, which follows from the others: a table may get that column later.

    Args:
        item: with its state as it was before it was sealed, so that it may be sealed with
            another key later.
    """
    fields = item[1:7] if isinstance(item, ChainedEvent) else item[1:]
    texts = (None if value is None else str(value) for value in fields)
    return framed(str(position), id_to_text(item[0]), *texts)


@dataclass(frozen=True)
class Checkpoint:
    """What the store was at some time.

    Attributes:
        position: of the feed, inclusive, up to which events are counted.
        size: how many there are.
        root: of their Merkle tree, 32 bytes.
        at: when the checkpoint was made (aware, UTC), by the clock of who signed.
        key: who signed it.
        signature: of all of this, 64 bytes.
    """

    position: int
    size: int
    root: bytes
    at: datetime
    key: PublicKey
    signature: bytes

    @classmethod
    def signed(cls, position: int, size: int, root: bytes, key: SigningKey) -> Checkpoint:
        """Returns a checkpoint of now.

        Raises:
            ProgrammingError: this is no signing key.
        """
        check_signs(key)
        at = datetime.now(UTC)
        message = _message(position, size, root, at, key.public)
        return cls(position, size, root, at, key.public, key.sign(message))

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """Returns the checkpoint that :attr:`text` gave. Its signature is not checked yet.

        Raises:
            DataIntegrityError: it is no such text.
        """
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise ValueError(f"format {found['format']!r}")
            return cls(
                position=int(found["position"]),
                size=int(found["size"]),
                root=bytes.fromhex(found["root"]),
                at=datetime.fromisoformat(found["at"]),
                key=PublicKey.from_text(found["key"]),
                signature=b64decode(found["signature"], validate=True),
            )
        except Exception as error:
            raise DataIntegrityError(f"this is not a checkpoint: {error!r}") from error

    @property
    def text(self) -> str:
        """The checkpoint as one line of JSON."""
        return json.dumps(
            {
                "format": FORMAT,
                "position": self.position,
                "size": self.size,
                "root": self.root.hex(),
                "at": self.at.isoformat(),
                "key": self.key.text,
                "signature": b64encode(self.signature).decode(),
            }
        )

    def check(self, key: PublicKey) -> None:
        """Checks that this was signed with the secret that belongs to ``key``.

        Raises:
            DataIntegrityError: it was not, or was changed.
            ProgrammingError: this is no public key. The message does not show it.
        """
        if not isinstance(key, PublicKey):
            raise ProgrammingError(
                "a checkpoint is checked with the public key of who signed it, a PublicKey"
                f" (SigningKey.public), not with a {type(key).__name__}"
            )
        message = _message(self.position, self.size, self.root, self.at, key)
        if self.key != key or not key.has_signed(message, self.signature):
            raise DataIntegrityError(
                f"the checkpoint of position {self.position} was not signed with {key.text}, or has"
                " been changed"
            )


@dataclass(frozen=True)
class Proof:
    """Shows that an event is among those of a checkpoint, and shows no other.

    Attributes:
        index: how many events are before it in the feed.
        entry: what was hashed, see :func:`entry_of`. It has the event's state, and so the repr of
            the proof does not show it.
        hashes: that lead from the entry to the root, 32 bytes each.
    """

    index: int
    entry: bytes = field(repr=False)
    hashes: tuple[bytes, ...]

    @classmethod
    def from_text(cls, text: str) -> Proof:
        """Returns the proof that :attr:`text` gave. It is not checked yet.

        Raises:
            DataIntegrityError: it is no such text. The message does not show it.
        """
        try:
            found = json.loads(text)
            index, hashes = found["index"], tuple(map(bytes.fromhex, found["hashes"]))
            is_one = found["format"] == FORMAT and type(index) is int
            if not is_one or any(len(each) != HASH_BYTES for each in hashes):
                raise ValueError
            return cls(index, b64decode(found["entry"], validate=True), hashes)
        except Exception as error:
            what = type(error).__name__  # no more, which may be of the event
            raise DataIntegrityError(f"this is not a proof: {what}") from None

    @property
    def text(self) -> str:
        """The proof as one line of JSON, with all of the event."""
        return json.dumps(
            {
                "format": FORMAT,
                "index": self.index,
                "entry": b64encode(self.entry).decode(),
                "hashes": [each.hex() for each in self.hashes],
            }
        )

    @property
    def values(self) -> list[str | None]:
        """The event's position in the feed, and the fields of its item, as :func:`entry_of` has
        them.

        Raises:
            DecodeError: the entry is none. (One that was checked is one.)
        """
        return unframed(self.entry)

    def check(self, checkpoint: Checkpoint) -> None:
        """Checks that the event is among those of the checkpoint, whose signature is another
        matter: see :meth:`Checkpoint.check`.

        Raises:
            DataIntegrityError: it is not, or the proof was changed.
            ProgrammingError: this is no checkpoint.
        """
        check_is_checkpoint(checkpoint)
        leaf = leaf_hash(self.entry)
        root = root_of_proof(leaf, self.index, checkpoint.size, self.hashes)
        if root != checkpoint.root:
            raise DataIntegrityError(
                f"this does not prove that an event is among the {checkpoint.size} of the"
                f" checkpoint of position {checkpoint.position}"
            )


def check_is_checkpoint(given: object) -> None:
    """Checks that this is a checkpoint, and not its text.

    Raises:
        ProgrammingError: it is something else.
    """
    if not isinstance(given, Checkpoint):
        raise ProgrammingError(
            "a checkpoint is a Checkpoint (Checkpoint.from_text reads its text), not a"
            f" {type(given).__name__}"
        )


def check_signs(key: object) -> None:
    """Checks that this can sign.

    Raises:
        ProgrammingError: it is no signing key.
    """
    if not isinstance(key, SigningKey):
        what = type(key).__name__
        raise ProgrammingError(f"a checkpoint is signed with a SigningKey, not a {what}")


def _message(position: int, size: int, root: bytes, at: datetime, key: PublicKey) -> bytes:
    parts = ("eventsourcing checkpoint", FORMAT, position, size, root.hex(), at.isoformat())
    return "\n".join(map(str, (*parts, key.text))).encode()
