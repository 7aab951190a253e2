"""The settings that such a project needs."""

import os

SECRET_KEY = os.environ.get("SECRET_KEY", "only for the example")
ALLOWED_HOSTS = ["localhost", "testserver"]
ROOT_URLCONF = "examples.django_bank.urls"
INSTALLED_APPS = ["examples.django_bank.apps.BankConfig"]
MIDDLEWARE = ["examples.django_bank.views.in_unit_of_work"]

# Django's own tables, and the events: two URIs, which may name the same database.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
EVENTS_URI = os.environ.get("EVENTS_URI", "sqlite:///bank.db")
