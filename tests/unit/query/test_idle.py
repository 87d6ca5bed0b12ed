"""What the server loads before anybody asks a question: idle memory is bounded."""

import subprocess
import sys

from query_lake import SmallLake


def test_an_idle_server_has_not_loaded_duckdb_arrow_or_rich(filled: SmallLake) -> None:
    script = f"""
import sys
from pathlib import Path
sys.path[:0] = {[p for p in sys.path if p]!r}
from missioncontrol.config import Config
from missioncontrol.lake.snapshot import LakeReader
from missioncontrol.query.engine import Engine
from missioncontrol.query.sql import SqlRunner
from missioncontrol.registry.load import load_registry
from missioncontrol.web.aggregates.api import build_api
from missioncontrol.web.sql.desk import SqlDesk
config = Config(data=Path({str(filled.folder)!r}))
reader = LakeReader(config.lake_path, config.cache_path)
sql = SqlRunner(reader, load_registry, config.query, config.cache_path)
build_api(Engine(reader, load_registry, config.query), SqlDesk(config, sql), load_registry, config)
assert reader.snapshot("error_aggregates").files
print({{"duckdb", "pyarrow", "rich", "numpy", "sqlglot"}} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
