"""What logs load into the memory of a server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CODE = """
import sys
from missioncontrol.cli.logs import configure_logs
configure_logs()
import structlog
loaded = "rich.console" in sys.modules
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed", why="told")
from rich.console import Console
print(loaded)
"""


def test_logs_load_no_rich_which_others_can_load_later() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
    assert "ZeroDivisionError: division by zero" in done.stderr


def test_a_server_meets_the_logs_before_anything_else_that_logs(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[server]\nport = 'no port'\n")
    code = (
        "import sys\n"
        "from missioncontrol.cli import cli\n"
        "try: cli(['serve', '--config', sys.argv[1], '--data', sys.argv[2]], standalone_mode=False)\n"
        "except Exception as error: print(getattr(error, 'code', error))\n"
        "print('missioncontrol.web.server' in sys.modules, 'rich.console' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(file), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "config_invalid\nTrue False\n"
