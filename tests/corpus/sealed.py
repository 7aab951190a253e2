"""The corpus of sealed states, and what they must open to for ever.

``python -m tests.corpus.sealed`` adds the states of CASES that sealed.jsonl does not have yet. What
is in the file stays as it is, and so do the keys here: it stands for rows in people's databases.
"""

import json
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from eventsourcing.infrastructure.protection import Protection
from eventsourcing.utils.cipher import CipherKey, Keyring
from eventsourcing.utils.ids import id_from_text, id_to_text
from eventsourcing.utils.packing import Compression

PATH = Path(__file__).with_suffix(".jsonl")

# Of tests alone. Nobody's data is encrypted with them.
FIRST = CipherKey("2026.corpus-1", bytes(range(32)))
SECOND = CipherKey("second", bytes(range(100, 132)))
STORE = "corpus.stored_events"

STATES = (
    "{}",
    '{"timestamp":"2026-01-02T03:04:05Z","amount":"10.00"}',
    '{"text":"Zoë 你好 😀 \\u0000","lone":"\\ud800"}',
    '{"long":"' + "abc " * 200 + '"}',
)
PLACES: tuple[tuple[Any, int, str], ...] = (
    ("stream", 3, "corpus.Stored"),
    (UUID(int=5), 0, "shop.orders#Order.Created"),
    (-5, 2**63 - 1, "Zoë"),
)
FORMS: dict[str, tuple[CipherKey | None, Compression | None]] = {
    "encrypted": (FIRST, None),
    "encrypted, second key": (SECOND, None),
    "encrypted zlib": (FIRST, "zlib"),
    "encrypted zstd": (FIRST, "zstd"),
    "zlib": (None, "zlib"),
    "zstd": (None, "zstd"),
}

protection = Protection(Keyring(SECOND, FIRST), store_id=STORE)


def row_of(form: str, place: tuple[Any, int, str], state: str) -> dict[str, Any]:
    """Returns a line of the corpus."""
    key, compression = FORMS[form]
    keys = None if key is None else Keyring(key)
    text = Protection(keys, store_id=STORE, compression=compression).seal(state, *place)
    name = [id_to_text(place[0]), *place[1:]]
    return {"form": form, "place": name, "state": state, "text": text}


def opened(row: dict[str, Any]) -> str:
    """Returns the state of a line of the corpus."""
    originator_id, version, topic = row["place"]
    return cast(str, protection.open(row["text"], id_from_text(originator_id), version, topic))


def rows() -> list[dict[str, Any]]:
    """Returns the lines of the corpus."""
    lines = PATH.read_text().splitlines() if PATH.exists() else []
    return [json.loads(line) for line in lines]


def main() -> None:
    """Adds the cases that are not there yet, each with a nonce of its own."""
    found = rows()
    known = [{**row, "text": None} for row in found]
    for form in FORMS:
        for place in PLACES:
            for state in STATES:
                row = row_of(form, place, state)
                if {**row, "text": None} not in known:
                    found.append(row)
    PATH.write_text("".join(f"{json.dumps(row)}\n" for row in found))


ROWS = rows()

if __name__ == "__main__":
    main()
