"""The web examples run on a file, as in development, and on a server."""

from typing import cast

import pytest

from tests.backends import Backend


@pytest.fixture(params=["sqlite_file", "postgresql"])
def uri(request: pytest.FixtureRequest) -> str:
    backend = cast(Backend, request.getfixturevalue(request.param))
    assert backend.uri is not None
    return backend.uri
