import pytest
from tests.support.release_trains import Story, tell


@pytest.fixture(scope="session")
def story() -> Story:
    """Eight predecessors and a candidate with which nothing is wrong."""
    return tell()
