"""What a power loss must not take is missed, and its files are kept if something is wrong."""

import re
from pathlib import Path

import pytest

from tests.faults.disk import Disk
from tests.faults.recording import Operation
from tests.faults.scenario import Case
from tests.faults.scenarios import powerloss
from tests.faults.scenarios.powerloss import WAL_FULL, WAL_NORMAL, Mode, lose_power

LASTS_NOT = Mode("WAL", "OFF")  # and so is found to lose what was acknowledged


def test_files_with_which_something_is_wrong_are_kept_and_named(tmp_path: Path) -> None:
    case, kept = Case("sqlite", 20, 7, tmp_path / "case"), tmp_path / "kept"
    case.directory.mkdir()

    found = lose_power(case, [LASTS_NOT], kept).anomalies

    named = {name for what in found for name in re.findall(r"\(kept in kept/(.*)\)", what)}
    assert named
    assert {folder.name for folder in kept.iterdir()} == named
    for folder in kept.iterdir():
        assert "power loss at" in (folder / "about.txt").read_text()
        left = {path.name for path in folder.iterdir()} - {"about.txt"}
        assert left <= {"events.db", "events.db-wal", "events.db-shm", "events.db-journal"}


def test_without_a_place_to_keep_them_nothing_is_kept(tmp_path: Path) -> None:
    assert lose_power(Case("sqlite", 10, 7, tmp_path), [LASTS_NOT]).count == 10
    assert [path.name for path in tmp_path.iterdir()] == ["after"]


class Forgetful(Disk):
    """Keeps nothing, synced or not."""

    def do(self, operation: Operation) -> None:
        pass


@pytest.mark.parametrize(
    ("mode", "wrong"),
    [
        (WAL_FULL, "what was acknowledged during recovery is lost"),
        (WAL_NORMAL, "acknowledged, but not stored"),
    ],
    ids=["FULL", "NORMAL"],
)
def test_no_mode_may_lose_what_was_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Mode, wrong: str
) -> None:
    monkeypatch.setattr(powerloss, "Disk", Forgetful)
    monkeypatch.setattr(powerloss, "AGAIN", 1.0)

    found = lose_power(Case("sqlite", 50, 7, tmp_path), [mode]).anomalies

    assert [what for what in found if wrong in what]
