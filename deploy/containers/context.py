"""Make the folder that the image is built from: locked requirements, wheels of ours, jars of Spark's source for Kafka.

    .venv/bin/python -m deploy.containers.context .build/image

Needs what `make setup` and `make scale-fetch` bring.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.fetch import ROOT, spark_jars

_JARS = ("spark-sql-kafka-", "spark-token-provider-kafka-", "kafka-clients-", "commons-pool2-")
"""What the stream loads of them: the lake on S3 needs none."""


def main(folder: Path) -> None:
    """Fill the folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    wheels, jars = folder / "wheels", folder / "jars"
    wheels.mkdir(parents=True)
    jars.mkdir()
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(wheels),
        str(ROOT),
    ]
    subprocess.run(build, check=True)
    for wheel in (ROOT / ".build" / "stackwalk" / "wheels").glob("*.whl"):
        shutil.copy(wheel, wheels)
    for jar in spark_jars():
        if jar.name.startswith(_JARS):
            shutil.copy(jar, jars)
    for name in ("requirements-scale.lock", "deploy/containers/Containerfile"):
        shutil.copy(ROOT / name, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
