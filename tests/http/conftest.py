"""An authorization server for the tests of this folder."""

from collections.abc import Iterator

import pytest

from tests.support.issuer import Authority, authority


@pytest.fixture(scope="module")
def issuer() -> Iterator[Authority]:
    with authority() as server:
        yield server
