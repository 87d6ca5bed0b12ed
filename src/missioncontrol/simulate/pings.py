"""Pings as bytes: main and crash pings of Firefox and baseline pings of a Glean application.

An `Event` goes in, a `Submission` comes out. Large parts are ready pieces (see `probes` and `environment`);
what a server reads is rendered for each ping. Full main pings are 40 to 100 kB, light ones 1 to 2 kB with
the same paths but few histograms; crash pings are 3 to 5 kB.
"""

from __future__ import annotations

import msgspec
import numpy as np

from missioncontrol.errors import BadRequest
from missioncontrol.simulate import stacks
from missioncontrol.simulate.environment import Environments
from missioncontrol.simulate.histograms import OVERSHOOT_BYTES, Histograms
from missioncontrol.simulate.population import COUNTRIES, FIREFOX, GLEAN_NAMESPACE, PLATFORMS, Population
from missioncontrol.simulate.probes import count
from missioncontrol.simulate.releases import Release
from missioncontrol.simulate.sessions import BASELINE, MAIN, MAIN_CRASH, Event
from missioncontrol.simulate.stamps import DAY_S, HOUR_S, NS, day, instant, local_hour, local_minute, uuid
from missioncontrol.simulate.submission import LEGACY, Submission

DEFAULT_SIZES = (40_000, 100_000)
"""Bytes of the smallest and of the largest full main ping."""
SMALLEST_BYTES = 24_000
LARGEST_BYTES = 180_000
_ARRANGEMENTS = 64


class Renderer:
    """Renders events of one fleet. The same event always gives the same bytes."""

    def __init__(
        self,
        rng: np.random.Generator,
        population: Population,
        releases: tuple[Release, ...],
        sizes: tuple[int, int] = DEFAULT_SIZES,
    ) -> None:
        """`sizes`: bytes of the smallest and the largest full main ping; `BadRequest` if out of reach."""
        _check(sizes)
        self._population = population
        self._releases = releases
        self._environments = Environments(rng, releases)
        self._histograms = Histograms(rng, sizes)
        self._sizes = sizes
        self._stacks = stacks.pool(rng)
        self._simple = [_simple(rng) for _ in range(_ARRANGEMENTS)]
        self._scalars = [_scalars(rng) for _ in range(_ARRANGEMENTS)]
        self._traits = _traits(population)

    def render(self, event: Event, light: bool = False) -> Submission:
        """The ping of an event; `light` makes main pings small."""
        if event.kind == BASELINE:
            return self._baseline(event)
        if event.kind == MAIN:
            return self._main(event, light)
        return self._crash(event)

    def _main(self, event: Event, light: bool) -> Submission:
        head, tail = self._frame(event, b"main", light)
        noise = event.noise
        info = self._info(event)
        simple, scalars = self._simple[noise % _ARRANGEMENTS], self._scalars[noise // 64 % _ARRANGEMENTS]
        keyed = _subprocess_crashes(event)
        if light:
            parent, content = self._histograms.light(noise)
            pieces = [head, b',"payload":{"ver":4,"simpleMeasurements":', _light_simple(noise)]
            pieces += [b',"processes":{"content":{"histograms":{', content, b'}}},"histograms":{', parent]
        else:
            used = len(head) + len(tail) + len(info) + len(simple) + len(scalars) + len(keyed)
            parent, content = self._histograms.full(noise, self._target(noise) - used)
            pieces = [head, b',"payload":{"ver":4,"simpleMeasurements":', simple]
            pieces += [
                b',"processes":{"parent":{"scalars":',
                scalars,
                b',"keyedScalars":{}},"content":{"histograms":{',
            ]
            pieces += [content, b'},"keyedHistograms":{}}},"histograms":{', parent]
        pieces += [b'},"keyedHistograms":{', keyed, b'},"info":', info, b"}", tail]
        return self._submission(event, "main", b"".join(pieces))

    def _target(self, noise: int) -> int:
        """Bytes that a full main ping should have: most are small, some are large."""
        low, high = self._sizes
        share = (noise >> 12 & 0xFFFF) / 65_536
        return low + int((high - low - OVERSHOOT_BYTES) * share * share)

    def _crash(self, event: Event) -> Submission:
        head, tail = self._frame(event, b"crash", True)
        session = uuid(event.session_high, event.session_low)
        metadata = stacks.metadata(event, self._releases[event.release].build_id)
        # Older clients do not say that it was the main process.
        process = (
            b""
            if event.kind == MAIN_CRASH and event.noise % 32 == 0
            else b'"processType":"%s",' % (b"main" if event.kind == MAIN_CRASH else b"content")
        )
        payload = b',"payload":{"version":1,"crashDate":"%s","crashTime":"%s","sessionId":"%s",%s' % (
            day(event.end).encode(),
            instant(event.end // HOUR_S * HOUR_S * NS).encode(),
            session.encode(),
            process,
        )
        pieces = (head, payload, b'"hasCrashEnvironment":true,"metadata":', metadata, b',"stackTraces":')
        return self._submission(
            event,
            "crash",
            b"".join((*pieces, self._stacks[event.noise // 32 % len(self._stacks)], b"}", tail)),
        )

    def _baseline(self, event: Event) -> Submission:
        release, client = self._releases[event.release], event.client
        platform = PLATFORMS[self._traits[client].platform]
        offset = COUNTRIES[self._traits[client].country].offset_h
        body = (
            b'{"ping_info":{"seq":%d,"start_time":"%s","end_time":"%s","reason":"inactive"},"client_info":{'
            b'"app_build":"%s","app_channel":"%s","app_display_version":"%s","architecture":"%s","client_id":"%s",'
            b'"os":"%s","os_version":"%s","build_date":"%s","telemetry_sdk_build":"33.9.0","first_run_date":"%s",'
            b'"locale":"en-US","device_manufacturer":"Example","device_model":"Phone"},"metrics":{"timespan":{'
            b'"glean.baseline.duration":{"value":%d,"time_unit":"second"}},"string":{"glean.baseline.locale":"en-US"}}}'
        ) % (
            event.noise % 5_000,
            local_minute(event.start, offset).encode(),
            local_minute(event.end, offset).encode(),
            release.build_id.encode(),
            release.channel.encode(),
            release.display_version.encode(),
            platform.architecture.encode(),
            self._population.client_id(client).encode(),
            platform.os_name.encode(),
            platform.os_version.encode(),
            instant(release.build_time_s * NS)[:19].encode() + b"+00:00",
            day(self._traits[client].profile_day * DAY_S).encode() + b"+00:00",
            event.length,
        )
        return self._submission(event, "baseline", body)

    def _frame(self, event: Event, kind: bytes, light: bool) -> tuple[bytes, bytes]:
        """What comes before and after the payload."""
        traits = self._traits[event.client]
        head = b'{"type":"%s","id":"%s","creationDate":"%s","version":4,"application":%s' % (
            kind,
            uuid(event.ping_high, event.ping_low).encode(),
            instant(min(event.end * NS + event.noise % NS, event.received_ns)).encode(),
            self._environments.application(event.release, traits.platform),
        )
        environment = self._environments.environment(
            event.release, traits.platform, traits.profile_day, traits.experiment, traits.pick, light
        )
        client_id = self._population.client_id(event.client).encode()
        return head, b',"clientId":"%s","environment":%s}' % (client_id, environment)

    def _info(self, event: Event) -> bytes:
        offset = COUNTRIES[self._traits[event.client].country].offset_h
        session = uuid(event.session_high, event.session_low)
        return (
            b'{"reason":"%s","revision":"","timezoneOffset":%d,"previousBuildId":null,"sessionId":"%s",'
            b'"subsessionId":"%s","previousSessionId":null,"subsessionCounter":%d,"profileSubsessionCounter":%d,'
            b'"sessionStartDate":"%s","subsessionStartDate":"%s","sessionLength":%d,"subsessionLength":%d,"addons":""}'
        ) % (
            b"shutdown" if event.last else b"daily",
            offset * 60,
            session.encode(),
            uuid(event.ping_low, event.session_high).encode(),
            event.part,
            event.part + event.noise % 700,
            local_hour(event.session_start, offset).encode(),
            local_hour(event.start, offset).encode(),
            event.end - event.session_start,
            event.length,
        )

    def _submission(self, event: Event, document_type: str, body: bytes) -> Submission:
        release = self._releases[event.release]
        glean = event.kind == BASELINE
        return Submission(
            received_ns=event.received_ns,
            namespace=GLEAN_NAMESPACE if glean else LEGACY,
            document_type=document_type,
            document_version="1" if glean else "4",
            document_id=uuid(event.ping_high, event.ping_low),
            application=GLEAN_NAMESPACE if glean else FIREFOX,
            version=release.version,
            channel=release.channel,
            build_id=release.build_id,
            country=COUNTRIES[self._traits[event.client].country].code,
            body=body,
        )


class _Traits(msgspec.Struct, frozen=True, gc=False):
    platform: int
    country: int
    profile_day: int
    experiment: int
    pick: int


def _traits(population: Population) -> list[_Traits]:
    """Each client's constants as Python integers: array elements are slow to read one by one."""
    columns = (population.platform, population.country, population.profile_day, population.experiment)
    picks = (population.id_low % 65_536).tolist()
    return [_Traits(*row) for row in zip(*(c.tolist() for c in columns), picks, strict=True)]


def _subprocess_crashes(event: Event) -> bytes:
    counts = (
        (b"content", event.content_crashes),
        (b"gpu", event.gpu_crashes),
        (b"plugin", event.plugin_crashes),
        (b"gmplugin", event.gmplugin_crashes),
    )
    keys = [b'"%s":' % name + count("", number)[3:] for name, number in counts if number]
    return b'"SUBPROCESS_CRASHES_WITH_DUMP":{' + b",".join(keys) + b"}" if keys else b""


def _simple(rng: np.random.Generator) -> bytes:
    start = int(rng.integers(20, 200))
    first_paint = start + int(rng.lognormal(7, 0.6))
    return msgspec.json.encode(
        {
            "totalTime": int(rng.integers(10, 80_000)),
            "uptime": int(rng.integers(1, 1_300)),
            "start": start,
            "main": start + 30,
            "selectProfile": start + 60,
            "afterProfileLocked": start + 80,
            "firstPaint": first_paint,
            "sessionRestored": first_paint + 300,
            "delayedStartupFinished": first_paint + 500,
            "activeTicks": int(rng.integers(0, 5_000)),
            "maximalNumberOfConcurrentThreads": int(rng.integers(40, 120)),
        }
    )


def _light_simple(noise: int) -> bytes:
    return b'{"firstPaint":%d,"activeTicks":%d}' % (400 + (noise >> 20 & 2047), noise >> 31 & 1023)


def _scalars(rng: np.random.Generator) -> bytes:
    names = ("tab_open_event_count", "window_open_event_count", "total_uri_count", "unique_domains_count")
    scalars: dict[str, int | bool | str] = {
        f"browser.engagement.{n}": int(rng.integers(1, 400)) for n in names
    }
    scalars |= {
        "startup.profile_selection_reason": "default",
        "timestamps.first_paint": int(rng.integers(400, 9_000)),
    }
    return msgspec.json.encode(scalars)


def _check(sizes: tuple[int, int]) -> None:
    low, high = sizes
    if low < SMALLEST_BYTES or high > LARGEST_BYTES or high - low <= OVERSHOOT_BYTES:
        raise BadRequest(
            "simulated_size",
            f"Main pings cannot be {low} to {high} bytes.",
            f"At least {SMALLEST_BYTES}, at most {LARGEST_BYTES}, and more than {OVERSHOOT_BYTES} apart.",
        )
