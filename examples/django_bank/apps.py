"""Opens the application when Django starts."""

import atexit

from django.apps import AppConfig, apps
from django.conf import settings

from examples.bank import Bank


class BankConfig(AppConfig):
    name = "examples.django_bank"
    label = "bank"
    bank: Bank

    def ready(self) -> None:
        # Connects when it is first used. The table is made by a migration.
        self.bank = Bank(uri=settings.EVENTS_URI, setup_table=False)
        atexit.register(self.bank.close)


def get_bank() -> Bank:
    bank: Bank = apps.get_app_config("bank").bank
    return bank
