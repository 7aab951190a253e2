"""The corpus of states with personal data, and what they must open to for ever.

``python -m tests.corpus.personal`` adds the states of CASES that personal.jsonl does not have yet.
What is in the file stays as it is, and so does the key: it stands for rows in people's databases.
"""

import json
from pathlib import Path
from typing import Any

from eventsourcing.domain.model.personal import Personal
from eventsourcing.infrastructure.erasure import Erasure
from eventsourcing.infrastructure.subjectkeys import MemorySubjectKeys
from eventsourcing.utils.cipher import Keyring
from eventsourcing.utils.ids import id_from_text, id_to_text
from tests.corpus.sealed import FIRST, PLACES, STORE

PATH = Path(__file__).with_suffix(".jsonl")

STATES = (
    '{"name":"Ann","born":"2000-01-02","country":"IE"}',
    '{"name":"Zoë 😀 \\ud800","country":"IE","$":{"born":{"$decimal":"1"}}}',
    '{"country":"IE","name":null,"born":[{"a":1.0},{"$tuple":[1]}]}',
)
FIELDS = {"name": Personal("(erased)", "person"), "born": Personal((1, None), "originator_id")}
PERSON = "#person"


def erasure(keys: dict[str, str], store_id: str = STORE) -> tuple[Erasure, MemorySubjectKeys]:
    """Returns what opens rows, with these keys of subjects."""
    stored = MemorySubjectKeys()
    for subject, key in keys.items():
        stored.add(subject, key)
    return Erasure(stored, Keyring(FIRST), store_id), stored


def row_of(place: tuple[Any, int, str], state: str) -> dict[str, Any]:
    """Returns a line of the corpus."""
    sealing, stored = erasure({})
    values = {"person": PERSON, "originator_id": place[0]}
    text = sealing.seal(state, FIELDS, values, place)
    keys = {each.subject: str(each.key) for each in stored.all()}
    row = {"place": [id_to_text(place[0]), *place[1:]], "keys": keys, "text": text, "state": state}
    return {**row, "erased": opened(row, forget=True)}


def opened(row: dict[str, Any], forget: bool = False) -> str:
    """Returns the state of a line of the corpus, also as it is once all have been forgotten."""
    opening, _ = erasure(row["keys"])
    for subject in row["keys"] if forget else ():
        opening.forget(id_from_text(subject))
    originator_id, version, topic = row["place"]
    item = (id_from_text(originator_id), version, topic, row["text"])
    return str(next(opening.opened([item]))[3])


def rows() -> list[dict[str, Any]]:
    """Returns the lines of the corpus."""
    lines = PATH.read_text().splitlines() if PATH.exists() else []
    return [json.loads(line) for line in lines]


def main() -> None:
    """Adds the cases that are not there yet."""
    found = rows()
    known = [(row["place"], row["state"]) for row in found]
    for place in PLACES:
        for state in STATES:
            row = row_of(place, state)
            if (row["place"], state) not in known:
                found.append(row)
    PATH.write_text("".join(f"{json.dumps(row)}\n" for row in found))


ROWS = rows()

if __name__ == "__main__":
    main()
