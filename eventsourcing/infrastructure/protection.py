"""The last step of writing a state, and the first of reading one: to compress and to encrypt it.

Plain states begin with ``{``, and sealed ones with ``~`` (docs: reference/stored-format). What was
encrypted is bound to the place of its row, so it can be read nowhere else.
"""

from __future__ import annotations

import os
import re
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Iterable
from typing import Any, TypeAlias

from eventsourcing.domain.model.events import DomainEvent, as_event_classes
from eventsourcing.exceptions import (
    CipherKeyMissing,
    DataIntegrityError,
    DecodeError,
    InvalidOriginatorID,
    OpenerMissing,
    ProgrammingError,
)
from eventsourcing.utils.cipher import KEY_ID, Keyring, framed
from eventsourcing.utils.ids import id_to_text
from eventsourcing.utils.packing import (
    LARGEST,
    PLAIN,
    Compression,
    UnpackerMissing,
    check_compression,
    pack,
    unpack,
)

__all__ = [
    "KEY_VARIABLE",
    "Protection",
    "from_base64",
    "is_sealed",
    "key_id_of",
    "protection_of",
    "to_base64",
    "unreadable",
]

KEY_VARIABLE = "CIPHER_KEY"

EventTypes: TypeAlias = type[DomainEvent] | Iterable[type[DomainEvent]]

_MARK = "~"
_ENCRYPTED, _COMPRESSED = "~a1:", "~z1:"
_HEAD = re.compile(f"{_ENCRYPTED}({KEY_ID}):")
_make_item = tuple.__new__


class Protection:
    """Seals the states of events and snapshots, and opens them.

    Args:
        keys: a keyring, or its text, to encrypt with; None only to compress.
        store_id: what else the rows are bound to, so that rows of other stores with the same keys
            are refused. Keep it if the table is renamed. (The ``cipher_key=`` of an application
            takes the name of the table: ``"stored_events"``, or ``"schema.stored_events"``.)
        event_types: the event classes, with their subclasses, whose states are sealed; all by
            default. Snapshots are sealed in any case.
        compression: ``"zlib"``, ``"zstd"``, or None.
        max_unpacked: how many bytes may come of a state that was compressed.
        refuse_plain: whether rows that are not encrypted are an error. Else whoever can write to
            the table can put a plain row in the place of an encrypted one.

    Raises:
        ProgrammingError: an argument cannot be used, or a package is not installed.
    """

    def __init__(
        self,
        keys: Keyring | str | None,
        *,
        store_id: str,
        event_types: EventTypes | None = None,
        compression: Compression | None = None,
        max_unpacked: int = LARGEST,
        refuse_plain: bool = False,
    ) -> None:
        self.keys = Keyring.from_text(keys) if isinstance(keys, str) else keys
        if not isinstance(self.keys, Keyring | None):
            raise ProgrammingError(f"keys= takes a Keyring, not a {type(keys).__name__}")
        if not isinstance(store_id, str) or not store_id:
            raise ProgrammingError("store_id= takes a text that is not empty")
        if type(max_unpacked) is not int or max_unpacked < 1:
            raise ProgrammingError("max_unpacked= takes a number of bytes")
        if refuse_plain and (self.keys is None or event_types is not None):
            raise ProgrammingError("refuse_plain= needs keys, and all events to be encrypted")
        check_compression(compression)
        self.store_id = store_id
        self._event_types = None if event_types is None else as_event_classes(event_types)
        self._compression: Compression | None = compression
        self._max_unpacked = max_unpacked
        self._refuse_plain = refuse_plain
        if self.keys is not None:
            self.keys.current.encrypt(b"", b"")  # tells now what is not installed

    def covers(self, event_class: type[DomainEvent]) -> bool:
        """Tells whether states of an event class are to be sealed."""
        return self._event_types is None or issubclass(event_class, self._event_types)

    def is_outdated(self, text: object, plain_too: bool) -> bool:
        """Tells whether a state is encrypted with another key than the current one, or with none.

        Args:
            plain_too: whether one that is not encrypted counts.
        """
        key_id = key_id_of(text)
        if key_id is None:
            return plain_too
        return self.keys is None or key_id != self.keys.current.id

    def seal(self, text: str, originator_id: object, originator_version: int, topic: str) -> str:
        """Returns the text for the state's column. No two calls give the same.

        Args:
            text: the state, as JSON.
            originator_id, originator_version, topic: the place where it is going to stand.
        """
        packed = pack(text, self._compression, self._max_unpacked)
        if self.keys is None:
            return text if packed[:1] == PLAIN else _COMPRESSED + to_base64(packed)
        key = self.keys.current
        head = f"{_ENCRYPTED}{key.id}:"
        place = self._place(head, originator_id, originator_version, topic)
        return head + to_base64(key.encrypt(packed, place))

    def open(self, text: Any, originator_id: Any, originator_version: Any, topic: Any) -> Any:
        """Returns the state that was sealed; a plain one, or what is no text at all, as it is.

        Raises:
            CipherKeyMissing: it was sealed with a key that is not in the keyring.
            OpenerMissing: the package that unpacks it is not installed.
            DataIntegrityError: it is not what was sealed for this place; or it is plain, and that
                is refused.
        """
        try:
            if not is_sealed(text):
                if self._refuse_plain:
                    raise DecodeError("it is not encrypted")
                return text
            if text.startswith(_COMPRESSED):
                if self._refuse_plain:
                    raise DecodeError("it is not encrypted")
                return unpack(from_base64(text[len(_COMPRESSED) :]), self._max_unpacked)
            return self._decrypted(text, originator_id, originator_version, topic)
        except (DecodeError, InvalidOriginatorID, UnpackerMissing) as error:
            item = (originator_id, originator_version, topic, None)
            raise unreadable(item, error) from error

    def opened(self, item: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns an item, whose first four fields are as usual, with its state opened.

        Raises:
            OpenerMissing, DataIntegrityError: as :meth:`open`.
        """
        state = item[3]
        text = self.open(state, *item[:3])
        if text is state:
            return item
        return _make_item(type(item), (*item[:3], text, *item[4:]))

    def _decrypted(self, text: str, originator_id: Any, version: Any, topic: Any) -> str:
        head = _HEAD.match(text)
        if head is None:
            raise DecodeError("it is sealed in a way that is not known")
        key = None if self.keys is None else self.keys.get(head[1])
        if key is None:
            raise _key_missing((originator_id, version, topic), head[1])
        if type(version) is not int or type(topic) is not str:
            raise DecodeError("its position is no number, or its topic no text")
        place = self._place(head[0], originator_id, version, topic)
        packed = key.decrypt(from_base64(text[head.end() :]), place)
        return unpack(packed, self._max_unpacked)

    def _place(self, head: str, originator_id: object, version: int, topic: str) -> bytes:
        return framed(head, self.store_id, id_to_text(originator_id), str(version), topic)


def protection_of(
    given: Protection | None, cipher_key: Keyring | str | None, store_id: str
) -> Protection | None:
    """Returns how an application protects its states; None for not at all.

    Args:
        cipher_key: by default that of the environment variable CIPHER_KEY, if there is one.

    Raises:
        ProgrammingError: both are given, or one cannot be used; or the variable is set and empty,
            which is a mistake where keys are to come from: nothing would be encrypted.
    """
    if given is not None:
        if cipher_key is not None:
            raise ProgrammingError("give the keys to the protection, or cipher_key= alone")
        if not isinstance(given, Protection):
            raise ProgrammingError(f"protection= takes a Protection, not a {type(given).__name__}")
        return given
    if cipher_key is None:
        cipher_key = os.environ.get(KEY_VARIABLE)
        if cipher_key is not None and not cipher_key.strip():
            raise ProgrammingError(
                f"the environment variable {KEY_VARIABLE} is set, and empty: give it a key, as"
                " `python -m eventsourcing keys new` prints it, or unset it to store plain text"
            )
    return None if cipher_key is None else Protection(cipher_key, store_id=store_id)


def is_sealed(text: object) -> bool:
    """Tells whether a state is encrypted or compressed, in a way that is known or not."""
    return isinstance(text, str) and text.startswith(_MARK)


def key_id_of(text: object) -> str | None:
    """Returns the id of the key that a state is encrypted with; None if it is not encrypted."""
    head = _HEAD.match(text) if isinstance(text, str) else None
    return None if head is None else head[1]


def unreadable(item: tuple[Any, ...], error: object) -> DataIntegrityError:
    """Returns the error for a row that cannot be read.

    Args:
        item: the row, or its first four fields; with None for a state that could be opened.
        error: what is wrong with it.
    """
    text = item[3]
    if (key_id := key_id_of(text)) is not None:
        return _key_missing(item, key_id)
    what: object = error
    is_missing = isinstance(error, UnpackerMissing)
    if isinstance(text, str) and text.startswith(_COMPRESSED):
        what, is_missing = "it is compressed: give the application a Protection", True
    error_class = OpenerMissing if is_missing else DataIntegrityError
    return error_class(
        f"event {item[1]} of {item[0]!r} (topic {item[2]!r}) cannot be read: {what}",
        originator_id=item[0],
        originator_version=item[1],
    )


def _key_missing(item: tuple[Any, ...], key_id: str) -> CipherKeyMissing:
    return CipherKeyMissing(
        f"event {item[1]} of {item[0]!r} (topic {item[2]!r}) is encrypted with the key {key_id!r},"
        " which this application does not have",
        originator_id=item[0],
        originator_version=item[1],
        key_id=key_id,
    )


def to_base64(data: bytes) -> str:
    """Returns bytes as text."""
    return b2a_base64(data, newline=False).decode()


def from_base64(text: str) -> bytes:
    """Raises DecodeError unless it is what :func:`to_base64` returns, to the last bit."""
    try:
        data = a2b_base64(text, strict_mode=True)
    except (Error, ValueError):
        raise DecodeError("it is damaged where it is sealed") from None
    if to_base64(data) != text:
        raise DecodeError("it is damaged where it is sealed")
    return data
