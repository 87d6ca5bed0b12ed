import pytest
from tests.support.courses import course_of
from tests.support.release_trains import Story, tell

from missioncontrol.health.model import Course


@pytest.fixture(scope="session")
def told() -> Story:
    """Eight predecessors and a candidate with which nothing is wrong."""
    return tell()


@pytest.fixture(scope="session")
def fine(told: Story) -> Course:
    """Two weeks of a release with which nothing is wrong."""
    return course_of(told)


@pytest.fixture(scope="session")
def bad(told: Story) -> Course:
    """Two weeks of one that crashes twice as often."""
    return course_of(told.worse(2.0))
