from pathlib import Path

import pytest
from tests.support.small_channel import SmallChannel


@pytest.fixture
def channel(tmp_path: Path) -> SmallChannel:
    """An empty channel, to be filled by hand."""
    return SmallChannel(tmp_path)
