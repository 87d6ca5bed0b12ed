"""All benchmarks: `python bench/run.py [--quick | --short] [--only whole_job,extraction,...]`.

Each part is a process of its own. Results go to bench/.work/results.json (parts that are not run keep their last
ones) and, as pages, to docs/reference/benchmarks*.md; a quick run writes none. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

import msgspec

from figures import Part
from report import ALL, read_results, write_pages, write_results
from workspace import BENCH, BenchError, answer_of, corpus, java, sizes_from, spark_python

PARTS = tuple(part for page in ALL for part in page.parts)
WITH_SPARK = ("whole_job", "backfill", "query_48h")


def chosen(text: str) -> list[str]:
    """Parts by their names, or by the name of their page."""
    pages = {page.name: page.parts for page in ALL}
    parts: list[str] = []
    for name in text.split(","):
        if name not in PARTS and name not in pages:
            names = ", ".join((*PARTS, *pages))
            raise argparse.ArgumentTypeError(f"there is no part {name!r}; parts, and pages of them: {names}")
        parts += pages.get(name, (name,))
    return parts


def main() -> int:
    arguments = argparse.ArgumentParser(description="Benchmarks against the peers.")
    arguments.add_argument("--quick", action="store_true", help="small sizes, to see that everything works")
    arguments.add_argument("--only", type=chosen, default=list(PARTS), metavar="PARTS", help=", ".join(PARTS))
    arguments.add_argument(
        "--short", action="store_true", help="less of the scaled form, on a busy machine; the page says so"
    )
    given = arguments.parse_args()
    options = ["--quick"] if given.quick else ["--short"] if given.short else []
    sizes = sizes_from(options)
    try:
        if set(given.only) & set(WITH_SPARK):
            java()
            spark_python()
        corpus(sizes.pings)
        results = read_results(sizes.name)
        for name in given.only:
            results = results.plus(run(name, options))
            write_results(results)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    if not given.quick:
        lacking = write_pages(results)
        if lacking:
            print(f"not measured yet, so their page stays as it is: {', '.join(lacking)}", file=sys.stderr)
    return int(any(not f.ok for part in results.parts for f in part.ratios))


def run(name: str, options: list[str]) -> Part:
    """One part, in a process of its own."""
    load = os.getloadavg()[0]
    print(f"{name} ... (load {load:.1f})", file=sys.stderr)
    started = time.monotonic()
    command = [sys.executable, str(BENCH / f"{name}.py"), *options]
    part = msgspec.structs.replace(msgspec.convert(answer_of(command), Part), load=load)
    print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    for figure in part.ratios:
        mark = "" if not figure.bar else "  ok" if figure.ok else "  MISSED"
        spread = f"[{figure.low:.3g} to {figure.high:.3g}]"
        print(
            f"  {figure.name}: {figure.median:.3g} {figure.unit} {spread} {figure.bar}{mark}", file=sys.stderr
        )
    for lack in part.unmeasured:
        print(f"  {lack.name}: NOT MEASURED. {lack.needs}", file=sys.stderr)
    return part


if __name__ == "__main__":
    sys.exit(main())
