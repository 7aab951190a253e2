"""What every web example does, whatever the framework."""

from abc import ABC, abstractmethod
from typing import Any

import pytest

from eventsourcing.application.simple import SimpleApplication


class BankOverHttp(ABC):
    """Enrol by a subclass with a `client` fixture."""

    @abstractmethod
    def post(self, client: Any, path: str, body: dict[str, str]) -> tuple[int, Any]: ...

    @abstractmethod
    def get(self, client: Any, path: str) -> tuple[int, Any, str]: ...

    @pytest.fixture
    def with_accounts(self, client: Any) -> Any:
        for number, owner, amount in (("A-1", "Ann", "100.00"), ("B-2", "Bob", "20.00")):
            body = {"number": number, "owner": owner, "amount": amount}
            assert self.post(client, "/accounts", body)[0] == 201
        return client

    def transfer(self, client: Any, source: str, target: str, amount: str) -> tuple[int, Any]:
        return self.post(
            client, "/transfers", {"source": source, "target": target, "amount": amount}
        )

    def balances(self, client: Any) -> list[str]:
        return [self.get(client, f"/accounts/{number}")[1]["balance"] for number in ("A-1", "B-2")]

    def test_an_account_is_opened_and_shown(self, with_accounts: Any) -> None:
        status, body, _ = self.get(with_accounts, "/accounts/A-1")

        assert (status, body) == (200, {"owner": "Ann", "balance": "100.00"})

    def test_a_transfer_changes_both_accounts(self, with_accounts: Any) -> None:
        status, _ = self.transfer(with_accounts, "A-1", "B-2", "30.00")

        assert status == 201
        assert self.balances(with_accounts) == ["70.00", "50.00"]

    def test_a_transfer_that_is_refused_changes_neither(self, with_accounts: Any) -> None:
        status, body = self.transfer(with_accounts, "A-1", "B-2", "500.00")

        assert (status, body) == (422, {"error": "Ann has 100.00, not 500.00"})
        assert self.balances(with_accounts) == ["100.00", "20.00"]

    def test_an_unknown_account_is_not_found(self, with_accounts: Any) -> None:
        assert self.transfer(with_accounts, "A-1", "no such", "1.00")[0] == 404
        assert self.get(with_accounts, "/accounts/no%20such")[0] == 404

    def test_a_number_that_is_taken_is_a_conflict(self, with_accounts: Any) -> None:
        body = {"number": "A-1", "owner": "Eve", "amount": "1.00"}

        assert self.post(with_accounts, "/accounts", body)[0] == 409
        assert self.get(with_accounts, "/accounts/A-1")[1]["owner"] == "Ann"

    def test_the_events_of_a_request_have_its_correlation_id(
        self, with_accounts: Any, uri: str
    ) -> None:
        *_, shown = self.get(with_accounts, "/accounts/A-1")

        with SimpleApplication(uri=uri) as app:
            ids = [e.context.correlation_id for e in app.event_store.get_domain_events("A-1")]
            others = [e.context.correlation_id for e in app.event_store.get_domain_events("B-2")]
        assert len(set(ids)) == len(set(others)) == 1
        assert ids[0]
        assert shown
        assert len({ids[0], others[0], shown}) == 3
