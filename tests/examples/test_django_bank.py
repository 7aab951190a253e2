import os
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.apps import apps
from django.core.management import call_command
from django.test import Client, override_settings

from tests.examples.web import BankOverHttp


@pytest.fixture(scope="module")
def config() -> Any:
    os.environ["DJANGO_SETTINGS_MODULE"] = "examples.django_bank.settings"
    django.setup()  # opens the bank, as the server's start does
    config = apps.get_app_config("bank")
    config.bank.close()
    return config


@pytest.fixture
def client(uri: str, config: Any) -> Iterator[Client]:
    with override_settings(EVENTS_URI=uri):
        config.ready()
        call_command("migrate", verbosity=0)
        yield Client()
        call_command("migrate", "bank", "zero", verbosity=0)
    config.bank.close()


class TestDjangoBank(BankOverHttp):
    def post(self, client: Any, path: str, body: dict[str, str]) -> tuple[int, Any]:
        response = client.post(path, body, content_type="application/json")
        return response.status_code, response.json()

    def get(self, client: Any, path: str) -> tuple[int, Any, str]:
        response = client.get(path)
        return response.status_code, response.json(), response["X-Correlation-ID"]
