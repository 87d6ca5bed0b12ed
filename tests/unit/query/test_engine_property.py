"""Whatever rows the lake holds, in whatever commits, sums are those of plain Python."""

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from query_lake import SmallLake, row

from missioncontrol.config import Query
from missioncontrol.query.aggregates import parse_aggregate_query
from missioncontrol.query.engine import Engine

ROWS = st.builds(
    row,
    st.sampled_from([0, 5, 60, 24 * 60]),
    channel=st.sampled_from(["release", "beta", None]),
    version=st.sampled_from(["9.0", "60.0", "100.0", None]),
    country=st.sampled_from(["DE", "it's", None]),
    main_crashes=st.one_of(st.none(), st.integers(0, 10**12)),
    usage_hours=st.one_of(st.none(), st.integers(0, 2**20).map(lambda n: n / 1024)),
)
DIMENSIONS = st.lists(
    st.sampled_from(["channel", "version", "country", "submission_date", "window_start"]), unique=True
)
FILTERS = st.dictionaries(
    st.sampled_from(["channel", "country"]),
    st.lists(st.sampled_from(["release", "beta", "DE", "it's"]), min_size=1, max_size=3),
)


def shown(item: dict[str, Any], dimension: str) -> Any:
    if dimension == "window_start":
        return f"{item[dimension]:%Y-%m-%dT%H:%M:%SZ}"
    return str(item[dimension]) if dimension == "submission_date" else item[dimension]


def expected(
    rows: list[dict[str, Any]], dimensions: list[str], filters: dict[str, list[str]]
) -> dict[Any, Any]:
    sums: dict[Any, list[Any]] = defaultdict(lambda: [None, None])
    for item in rows:
        if all(item[c] in values for c, values in filters.items()):
            key = tuple(shown(item, d) for d in dimensions)
            for i, measure in enumerate(("main_crashes", "usage_hours")):
                if item[measure] is not None:
                    sums[key][i] = (sums[key][i] or 0) + item[measure]
                sums[key][i] = sums[key][i]
    return {key: tuple(values) for key, values in sums.items()}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(ROWS, min_size=1, max_size=8), min_size=1, max_size=3), DIMENSIONS, FILTERS)
def test_sums_are_those_of_plain_python(
    commits: list[Any], dimensions: list[str], filters: dict[str, list[str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = SmallLake(Path(folder))
        for rows in commits:
            lake.add(rows)
        engine = Engine(lake.reader, lambda: lake.registry, Query(threads=1, memory_limit_mb=256))
        pairs = [("measurements", "main_crashes"), ("measurements", "usage_hours")]
        pairs += [("dimensions", d) for d in dimensions]
        pairs += [(column, value) for column, values in filters.items() for value in values]
        query = parse_aggregate_query(pairs, lake.registry, Query(), "predecessor")
        with engine.aggregate(query) as answer:
            got = {tuple(r[:-2]): tuple(r[-2:]) for batch in answer.batches() for r in batch}
        engine.close()
    assert got == expected([r for rows in commits for r in rows], list(query.dimensions), filters)
