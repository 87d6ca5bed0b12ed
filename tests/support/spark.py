"""PySpark in an environment of its own, which is made at first use; needs Java 17."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

VERSION = "4.1.4"
_VENV = Path(__file__).resolve().parents[2] / ".build" / f"pyspark-{VERSION}"


def spark_python() -> Path:
    """An interpreter that has PySpark."""
    python = _VENV / "bin" / "python"
    if not (_VENV / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", _VENV], check=True)
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"pyspark=={VERSION}"]
        subprocess.run(install, check=True)
        (_VENV / "complete").touch()
    return python
