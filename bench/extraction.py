"""Part 2: extraction against nothing but the typed decode of the same bytes. `python bench/extraction.py [--quick]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import islice

import msgspec

from figures import Part, figure, publish
from missioncontrol.registry.compile import compile_document
from missioncontrol.registry.load import load_registry
from missioncontrol.telemetry.extract import Extractor
from missioncontrol.telemetry.fact import Fact
from missioncontrol.telemetry.import_lines import read_line
from missioncontrol.telemetry.submission import Submission
from workspace import Sizes, corpus, sizes_from

Decode = Callable[[bytes], object]


def measure(sizes: Sizes) -> Part:
    registry = load_registry([])
    extractor = Extractor(registry)
    # The very Structs that extraction decodes into, without anything around them.
    plans = {
        d.type: compile_document(registry, d)
        for d in registry.documents.values()
        if d.namespace == "telemetry"
    }
    decoders: dict[str, Decode] = {name: bare_decoder(plan.decoder) for name, plan in plans.items()}
    with corpus(sizes.pings).open("rb") as file:
        pings = [read_line(line, 0)[0] for line in islice(file, sizes.extraction_pings)]
    todo = [(decoders[ping.document_type], ping) for ping in pings]
    facts = [extractor.extract(ping, ping.body) for ping in pings]
    if not all(isinstance(fact, Fact) for fact in facts):
        raise SystemExit("Some pings of the corpus were not counted.")
    bare, extracted = [], []
    for _ in range(sizes.extraction_rounds):
        bare.append(timed(lambda: decode_all(todo)))
        extracted.append(timed(lambda: extract_all(extractor, pings)))
    each = [one / other for one, other in zip(bare, extracted, strict=True)]
    size_kb = sum(len(ping.body) for ping in pings) / len(pings) / 1000
    return Part(
        "extraction",
        "Extraction alone",
        f"One core, {len(pings):,} pings of {size_kb:.0f} kB in memory. Extraction (bytes to a fact: decode, rules, "
        f"dimensions, {len(registry.measures)} measures) against msgspec {msgspec.__version__} decoding the same bytes "
        "into the same typed Structs and nothing else. Processor time, in turns.",
        [figure("extraction over the bare typed decode", each, at_least=0.6)],
        [
            figure("extraction", [len(pings) / s for s in extracted], "pings/s"),
            figure("bare typed decode", [len(pings) / s for s in bare], "pings/s"),
        ],
        "Every ping of the corpus gave a fact.",
    )


def bare_decoder(decoder: object) -> Decode:
    decode: Decode = decoder._decode  # type: ignore[attr-defined]
    return decode


def decode_all(todo: list[tuple[Decode, Submission]]) -> None:
    for decode, ping in todo:
        decode(ping.body)


def extract_all(extractor: Extractor, pings: list[Submission]) -> None:
    for ping in pings:
        extractor.extract(ping, ping.body)


def timed(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


if __name__ == "__main__":
    publish(measure(sizes_from(sys.argv)))
