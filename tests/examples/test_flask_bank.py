from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from examples.flask_bank import Letter, create_app
from tests.examples.web import BankOverHttp


@pytest.fixture
def flask(uri: str) -> Iterator[Flask]:
    app = create_app(uri.replace("postgresql://", "postgresql+psycopg://"))
    yield app
    app.extensions["bank"].close()
    app.extensions["engine"].dispose()


@pytest.fixture
def client(flask: Flask) -> FlaskClient:
    return flask.test_client()


class TestFlaskBank(BankOverHttp):
    def post(self, client: Any, path: str, body: dict[str, str]) -> tuple[int, Any]:
        response = client.post(path, json=body)
        return response.status_code, response.json

    def get(self, client: Any, path: str) -> tuple[int, Any, str]:
        response = client.get(path)
        return response.status_code, response.json, response.headers["X-Correlation-ID"]

    def letters(self, flask: Flask) -> list[str]:
        with flask.extensions["engine"].connect() as connection:
            return list(connection.scalars(select(Letter.text).order_by(Letter.id)))

    def test_a_letter_is_stored_with_the_events_or_not_at_all(
        self, with_accounts: Any, flask: Flask
    ) -> None:
        self.transfer(with_accounts, "A-1", "B-2", "30.00")
        self.transfer(with_accounts, "A-1", "B-2", "500.00")

        assert self.letters(flask) == ["Ann sent Bob 30.00"]
