"""What every backend must do, one suite class per port.

| suite                                 | port                                                     |
|---------------------------------------|----------------------------------------------------------|
| ``recordmanager.RecordManagerContract``  | ``eventsourcing.infrastructure.recordmanager``        |
| ``eventstore.EventStoreContract``        | the event store above it                              |
| ``payloads.PayloadContract``             | what the event store does to values                   |
| ``application.ApplicationContract``      | ``SimpleApplication`` and its repository              |
| ``feed.FeedContract``                    | the feed of all events                                |
| ``timetravel.TimeTravelContract``        | the repository's view of the past                     |
| ``caching.CachingContract``              | aggregates kept in memory                             |
| ``sealing.SealingContract``              | what is encrypted and compressed                      |
| ``snapshotting.SnapshottingContract``    | aggregates loaded by way of snapshots                 |
| ``erasure.ErasureContract``              | personal data, and how it is forgotten                |

They run on what the fixture `place` gives, which is each backend in turn. A new record manager
enrols with a `Place` of its own::

    class TestRecordManagerOfMine(RecordManagerContract):
        @pytest.fixture
        def place(self) -> Place:
            return MyPlace()

and likewise in the other suites. One whose items outlive it adds `DurableContract`.
"""

import pytest

for module in (
    "application",
    "caching",
    "erasure",
    "eventstore",
    "feed",
    "model",
    "payloads",
    "recordmanager",
    "sealing",
    "snapshotting",
    "streams",
    "timetravel",
):
    pytest.register_assert_rewrite(f"{__name__}.{module}")
