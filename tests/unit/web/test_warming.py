"""What is prepared once the server answers: the first page and the most used channels, or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.lake import LakeBuilder

