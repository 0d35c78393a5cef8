"""How bad data is refused: by one line that names what is wrong and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gancluster.errors import DataError


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """Assert that the body raises a `DataError` of one line that contains all of `words`."""
    with pytest.raises(DataError) as caught:
        yield
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message
