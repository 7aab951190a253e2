"""The corpus of a chained, encrypted store and a checkpoint of it, which must hold for ever.

``python -m tests.corpus.history`` writes history.json, if it is not there. What is in the file
stays as it is: it stands for rows in people's databases, and for checkpoints that are kept
elsewhere.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from eventsourcing.application.checkpoints import Checkpoint
from eventsourcing.application.simple import SimpleApplication
from eventsourcing.application.verifying import make_checkpoint
from eventsourcing.domain.model.aggregate import AggregateRoot
from eventsourcing.domain.model.context import unit_of_work
from eventsourcing.domain.model.decorators import event
from eventsourcing.domain.model.personal import personal
from eventsourcing.infrastructure.memory import MemoryRecordManager
from eventsourcing.infrastructure.protection import Protection
from eventsourcing.infrastructure.sequenceditem import ChainedEvent
from eventsourcing.utils.cipher import Keyring
from eventsourcing.utils.ids import id_from_text, id_to_text
from eventsourcing.utils.signing import SigningKey
from tests.corpus.sealed import FIRST, STORE

PATH = Path(__file__).with_suffix(".json")
SIGNING = SigningKey(bytes(range(32)))  # of tests alone


class Kept(AggregateRoot, topic="corpus-kept"):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = ""
        self.count = 0

    @event("Named")
    def rename(self, name: Annotated[str, personal("(erased)")]) -> None:
        self.name = name

    @event("Counted")
    def add(self, count: int) -> None:
        self.count += count


@contextmanager
def opened(manager: MemoryRecordManager) -> Iterator[SimpleApplication]:
    """Gives an application whose plain rows stand beside encrypted ones."""
    counted: Any = Kept.Counted  # type: ignore[attr-defined]
    protection = Protection(Keyring(FIRST), store_id=STORE, event_types=counted)
    with SimpleApplication(record_manager=manager, protection=protection, chained=True) as app:
        yield app


def stored() -> tuple[MemoryRecordManager, Checkpoint]:
    """Returns what is in the file."""
    found = json.loads(PATH.read_text())
    manager, keys = MemoryRecordManager(ChainedEvent), found["keys"]
    manager.record([ChainedEvent(id_from_text(first), *rest) for first, *rest in found["rows"]])
    for subject, key in keys.items():
        manager.subject_keys().add(subject, key)
    return manager, Checkpoint.from_text(found["checkpoint"])


def main() -> None:
    """Writes the file, with a store of every kind of id and row."""
    if PATH.exists():
        return
    manager = MemoryRecordManager(ChainedEvent)
    with opened(manager) as app:
        for stream in ("ann", 7, "#8"):
            kept = Kept.create(id=stream)
            app.save(kept)
            with unit_of_work(f"request {stream}"):
                kept.rename("Zoë")
                kept.add(1)
                app.save(kept)
        checkpoint = make_checkpoint(app, SIGNING)
        rows = [[id_to_text(item[0]), *item[1:]] for item in manager._all]
        keys = {each.subject: each.key for each in manager.subject_keys().all()}
    found = {"checkpoint": checkpoint.text, "keys": keys, "rows": rows}
    PATH.write_text(f"{json.dumps(found, indent=1)}\n")


if __name__ == "__main__":
    main()
