from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from examples.fastapi_bank import api
from tests.examples.web import BankOverHttp


@pytest.fixture
def client(uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("DB_URI", uri)
    with TestClient(api) as client:
        yield client


class TestFastapiBank(BankOverHttp):
    def post(self, client: Any, path: str, body: dict[str, str]) -> tuple[int, Any]:
        response = client.post(path, json=body)
        return response.status_code, response.json()

    def get(self, client: Any, path: str) -> tuple[int, Any, str]:
        response = client.get(path)
        return response.status_code, response.json(), response.headers["X-Correlation-ID"]
