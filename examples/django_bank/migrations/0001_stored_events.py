"""Creates the table of events: ``python manage.py migrate``."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import migrations

from examples.bank import Bank


def create_table(apps: Any, schema_editor: Any) -> None:
    Bank(uri=settings.EVENTS_URI).close()  # creates what is not there


class Migration(migrations.Migration):
    atomic = False  # on SQLite, Django's open transaction would lock the library out
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar[list[Any]] = [
        migrations.RunPython(create_table, migrations.RunPython.noop)
    ]
