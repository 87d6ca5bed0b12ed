"""A job for Spark: the guide's program, then queries whose rows it prints as JSON, a line a query.

`query_in_spark.py REQUEST`: JSON with settings, program and queries; the program makes the session `spark`, with `settings`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    scope: dict[str, Any] = {"settings": request["settings"]}
    exec(request["program"], scope)
    for query in request["queries"]:
        rows = [list(row) for row in scope["spark"].sql(query).collect()]
        print("rows", json.dumps(rows, default=str), flush=True)
    scope["spark"].stop()
