"""Settings: `missioncontrol.toml`, overridden by `MC_SECTION__KEY`, overridden by a flag.

`load_config()` reads them once; everything else receives the frozen `Config`. All that an embedded installation
writes is under `Config.data`.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

import msgspec

from missioncontrol.errors import ConfigError

DEFAULT_DATA = "./missioncontrol-data"


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the HTTP server listens."""

    host: str = "127.0.0.1"
    port: int = 8000
    trusted_proxies: list[str] = []
    """Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed for pages and API."""
    public_url: str = ""
    """Address under which browsers reach the server when that is not its own: https://mc.example.com."""


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the ingestion edge."""

    max_body_bytes: int = 8 * 1024 * 1024
    max_path_bytes: int = 4096
    max_kept_header_bytes: int = 1024
    max_header_bytes: int = 65536
    header_timeout_s: float = 15.0
    body_timeout_s: float = 60.0
    trusted_proxies: list[str] = []
    """Addresses or networks whose X-Forwarded-For is believed."""
    geo_database: str = ""
    """Path of a MaxMind country or city database; without one every country is `??`."""


class CrashProduct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the crash reports of one product are taken."""

    answer: Literal["crash_id", "bare", "hex16"] = "crash_id"
    """What its client is answered: `CrashID=bp-<id>`, the id alone, or 16 hexadecimal digits."""
    key: str = ""
    """What its client must give as ?key=; empty: nothing."""
    per_minute: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Most reports in a minute; 0: any number."""


class Ingest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How crash reports are taken."""

    crash_max_bytes: int = 26_214_400
    """Of a report on the wire."""
    crash_max_inflated_bytes: int = 104_857_600
    """Of a report once it is unpacked."""
    crash_body_timeout_s: float = 120.0
    crash_backlog_max: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    """Reports that may wait to be processed; further ones are refused until workers have caught up."""
    crash_free_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 << 20
    """Of the disk of dumps so much is left free by reports, or a sixteenth of a small disk; 0: nothing."""
    throttle: str = "accept_all"
    """Which reports are kept: `accept_all`, `mozilla`, or the path of a TOML file of rules."""
    resend_days: int = 30
    """Days for which an upload is known, so that a second copy is answered as the first."""
    products: dict[str, CrashProduct] = {}
    """By ProductName."""


class BugTracker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where bugs of crashes are kept."""

    url: str
    """Address of a bug, as in https://bugs.example.com/show_bug.cgi?id={id}."""
    new: str = ""
    """Address of a form that files one, with what fills it in: {title}, {body}, {signature}, {product}, {version},
    {crash_id}, {report} (address of the crash), {frames}. Empty: none is offered."""


class Crashes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How crashes are processed."""

    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    """Processes of this server that process crashes."""
    symbol_paths: list[str] = []
    """More folders of symbols, in Breakpad's layout."""
    symbol_max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 2 << 30
    """Largest .sym file that is taken, unpacked."""
    symbol_upload_max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 2 << 30
    """Largest upload of symbols on the wire; what it unpacks to may be 16 times that."""
    symbol_servers: list[str] = []
    """Addresses of servers that have symbols, in Breakpad's layout; they are told which modules crashed."""
    symbol_server_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Longest time for one file from them."""
    symbol_cache_bytes: Annotated[int, msgspec.Meta(ge=0)] = 4 << 30
    """What was fetched from them takes no more room than this."""
    symbol_missing_s: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    """How long they are not asked again for what they did not have."""
    field_files: list[str] = []
    """More TOML files that declare fields. `fields.toml` in the data folder is always read when it exists."""
    sources: dict[str, str] = {}
    """By product (`default` for those not named): address of a source file whose frame names no repository, as in
    https://code.example.com/{version}/{path}#L{line}. Also {file} (the path as it is), {revision} and {build}."""
    rule_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """A rule of processing that takes more seconds of a processor is given up and noted: naming by the user's signature
    lists, above all."""
    profiles: dict[str, str] = {}
    """Profile by product (`general`, `firefox`); `default` for those not named."""
    bug_trackers: dict[str, BugTracker] = {}
    """Where bugs of signatures are kept, by a name that they are called by: `bugzilla`, `github`."""


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The durable log between the edge and the stream."""

    dedup_days: int = 7
    max_bytes: int = 0
    """Largest size of the log on disk; 0: as large as the disk."""
    bootstrap_servers: str = ""
    """Addresses of Kafka's brokers, as in kafka1:9092,kafka2:9092; empty: the log is a file in the data folder."""
    topic: str = "missioncontrol"
    """Kafka's topic of the log."""
    spool_bytes: Annotated[int, msgspec.Meta(ge=1 << 20)] = 1 << 30
    """What the edge keeps on its disk while Kafka is away; beyond that it refuses submissions."""
    kafka: dict[str, str] = {}
    """Options of librdkafka, such as `sasl.password`; `_` stands for the dots too. A name that ends in `_file` names a
    file that holds the value."""

    def __repr__(self) -> str:
        return f"Log(bootstrap_servers={self.bootstrap_servers!r}, topic={self.topic!r})"


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the stream cuts the log into micro-batches."""

    min_interval_s: float = 0.5
    poll_interval_s: float = 0.1
    batch_records: int = 5000
    batch_bytes: int = 64 * 1024 * 1024
    max_inflated_bytes: int = 8 * 1024 * 1024
    fine_activity_days: int = 14
    """Days after the date in the build id for which usage_by_activity keeps 5-minute/30-minute cells."""
    broken_body_bytes: int = 65536
    """Of a body that cannot be read at all, this much is kept for inspection."""
    trim_interval_s: float = 15.0


class Lake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Background care of the lake's tables."""

    url: str = ""
    """As in s3://bucket/prefix; empty: the lake is in the data folder."""
    cache_bytes: Annotated[int, msgspec.Meta(ge=0)] = 20 << 30
    """Files of a lake on S3 that were read lately take no more room than this in the data folder."""
    archive: bool = True
    compact_interval_s: float = 20.0
    vacuum_after_s: float = 1800.0
    target_file_bytes: int = 128 * 1024 * 1024
    seal_archive: bool = True
    """Keep the bodies of days that are over unpacked: a fraction of the size, still byte for byte as sent."""


Days = Annotated[int, msgspec.Meta(ge=0)]
"""0: for ever."""


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many days each table of the lake, and each part of a crash, is kept, today not counted; 0: for ever."""

    error_aggregates: Days = 0
    experiment_aggregates: Days = 0
    client_aggregates: Days = 0
    usage_by_activity: Days = 0
    crashes_by_activity: Days = 0
    crash_aggregates: Days = 0
    crashes: Days = 0
    crash_signature_counts: Days = 0
    discards: Days = 0
    notes: Days = 0
    verdicts: Days = 0
    pings: Days = 0
    pings_discarded: Days = 30
    """Of `pings`, those that were not counted: kept for inspection, and whoever sends rubbish sends a lot."""
    dumps: Days = 0
    """Minidumps and other files of crash reports."""
    raw_crashes: Days = 0
    """Annotations of crash reports as they came; without them a crash cannot be processed again."""
    refused_reports: Days = 30
    """The first bytes of crash reports that were refused, a few of each reason and day."""
    processed_crashes: Days = 0
    """Stacks and fields of single crashes; the table `crashes` is what is searched."""


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of queries by users."""

    timeout_s: float = 30.0
    memory_limit_mb: int = 1024
    threads: int = 2
    spill_limit_mb: int = 4096
    """Room on disk that one SQL query may take for what does not fit into memory."""
    max_rows: int = 1_000_000
    """Most rows that POST /api/v1/sql answers; the command line has no limit."""
    default_limit: int = 100_000
    """Most rows of /api/aggregates/ when no limit is given."""


class Jobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What runs by itself."""

    daily: bool = True
    """Make crash_aggregates of each day that is over."""
    daily_at: str = "01:00"
    """Time of day (UTC) from which on the day before counts as over."""
    lookback_days: int = 7
    """Days that are made by themselves when they were missed, or when pings came late."""
    attempts: int = 3
    """How often a day that fails is tried."""
    infer_releases: bool = True
    """Keep builds that arrive steadily, and that nobody named, as releases."""


class Stackwalk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The process that walks the stacks of minidumps."""

    program: str = ""
    """Path of missioncontrol-stackwalk; empty: the one that is installed beside missioncontrol, or on PATH."""
    cache_mb: int = 512
    """Parsed symbols kept between dumps; a symbol file takes about 2.2 times its size."""
    memory_limit_mb: int = 8192
    """Most that it may take, but never more than three quarters of the machine's memory; 0: no limit.

    Bounds, and reserves nothing. Symbols that need more are left out (`too_large`): five to seven times the file's
    size. A dump that needs more is recorded as failed.
    """
    timeout_s: float = 60.0
    """A dump that takes longer is recorded as failed."""
    missing_ttl_s: float = 60.0
    """How long symbols that were not found are not looked for again, unless some arrive."""


class Spark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The stream and the backfill on Spark."""

    master: str = "local[*]"
    """Where Spark runs; what spark-submit says comes first."""
    trigger_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """A micro-batch begins so often."""
    batch_records: Annotated[int, msgspec.Meta(ge=1)] = 200_000
    """Most messages of a micro-batch, of all partitions together."""
    packages: list[str] = msgspec.field(
        default_factory=lambda: ["org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"]
    )
    """Maven coordinates that Spark looks up when it starts; empty: they are on its class path already."""
    settings: dict[str, str] = {}
    """More settings of Spark, by their names (`spark.executor.memory`)."""


class RegistrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Declarations beside the shipped ones."""

    files: list[str] = []
    """More TOML files. `registry.toml` in the folder is always read when it exists."""
    folder: str = ""
    """Folder of `registry.toml`, `fields.toml`, `signature-lists/` and `probes.json`, which several machines may share;
    empty: the data folder."""


class Oidc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Signing in with an OpenID provider; off without an issuer."""

    issuer: str = ""
    """Its address, under which /.well-known/openid-configuration is found."""
    client_id: str = ""
    client_secret_file: str = ""
    """File that holds the secret; empty: a public client."""
    title: str = "single sign-on"
    """What the page calls it."""
    groups_claim: str = "groups"
    """Claim with the names of a user's groups."""
    scopes: dict[str, list[str]] = {}
    """Group -> scopes of its members."""
    everyone: list[str] = msgspec.field(default_factory=lambda: ["read"])
    """Scopes of everybody whom the provider knows; empty: members of the groups above only."""


class Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may see and do what."""

    anonymous: list[str] = msgspec.field(default_factory=lambda: ["read"])
    """Scopes of requests without session or token, except at a single-user installation."""
    session_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 7
    """Days after which one has to sign in again."""
    log_days: Days = 365
    """Days that the record of who saw protected data is kept; 0: for ever."""
    api_requests_per_s: Annotated[float, msgspec.Meta(ge=0)] = 100.0
    """Requests to the API that a client may send for long; ten seconds' worth may come at once. 0: any number."""
    oidc: Oidc = Oidc()


class Alerts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How alerts leave this machine. Channels and rules are no settings: they are made on the page /alerts."""

    smtp_host: str = ""
    """Mail server; empty: no alerts by e-mail."""
    smtp_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    """Empty: without signing in."""
    smtp_password_file: str = ""
    """File that holds the password."""
    mail_from: str = ""
    """Sender, as in Mission Control <mc@example.com>."""
    log_days: Days = 365
    """Days that changes of verdicts and deliveries are kept; 0: for ever."""


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where users, tokens, releases, runs, the queue of crashes and the like are kept."""

    url: str = ""
    """Address of a PostgreSQL database; empty: a SQLite file in the data folder. May hold a password."""

    def __repr__(self) -> str:
        return f"State(url={'…' if self.url else ''})"


class Blobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where crash reports, processed crashes and symbols are kept."""

    url: str = ""
    """s3://bucket/prefix; empty: a folder in the data folder. Keys and endpoint are in AWS_* of the environment."""
    spool_bytes: Annotated[int, msgspec.Meta(ge=1)] = 4 << 30
    """Room on this machine's disk that a process may take for what it is about to upload."""


class LakePlace(msgspec.Struct, frozen=True):
    """Where the lake is: in a folder; or on an S3 server, and then what is being written or was read lately is in the
    folder. Holds no secrets: those are in the environment.
    """

    folder: Path
    url: str = ""
    """As in s3://bucket/prefix, without a slash at the end; empty: the folder is the lake."""
    cache_bytes: int = 0

    def __str__(self) -> str:
        return self.url or str(self.folder)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings."""

    data: Path = Path(DEFAULT_DATA)
    server: Server = Server()
    edge: Edge = Edge()
    ingest: Ingest = Ingest()
    crashes: Crashes = Crashes()
    state: State = State()
    blobs: Blobs = Blobs()
    log: Log = Log()
    stream: Stream = Stream()
    lake: Lake = Lake()
    retention: Retention = Retention()
    query: Query = Query()
    jobs: Jobs = Jobs()
    stackwalk: Stackwalk = Stackwalk()
    spark: Spark = Spark()
    registry: RegistrySettings = RegistrySettings()
    access: Access = Access()
    alerts: Alerts = Alerts()

    @property
    def base_url(self) -> str:
        """Address of the server's pages in what is sent elsewhere, without a slash at the end."""
        host = self.server.host
        if host in ("0.0.0.0", "::"):
            import socket

            host = socket.gethostname()  # the best guess of what others call this machine
        host = f"[{host}]" if ":" in host else host
        return self.server.public_url.rstrip("/") or f"http://{host}:{self.server.port}"

    @property
    def log_path(self) -> Path:
        """The SQLite file of the log; its bodies lie beside it."""
        return self.data / "log" / "log.sqlite"

    @property
    def log_spool_path(self) -> Path:
        """The SQLite file of what waits for Kafka."""
        return self.data / "spool" / "spool.sqlite"

    @property
    def lake_path(self) -> Path:
        """The folder that holds one Delta table a folder; of a lake on S3, those of its files that are at hand."""
        return self.data / "lake"

    @property
    def lake_place(self) -> LakePlace:
        """Where the lake is."""
        return LakePlace(self.lake_path.absolute(), self.lake.url.rstrip("/"), self.lake.cache_bytes)

    @property
    def cache_path(self) -> Path:
        """What can be deleted at any time and is made again."""
        return self.data / "cache"

    @property
    def blobs_path(self) -> Path:
        """The folder of dumps, raw and processed crashes and symbols."""
        return self.data / "blobs"

    @property
    def spool_path(self) -> Path:
        """The folder of what is on its way to or from a bucket."""
        return self.cache_path / "blobs"

    @property
    def arriving_path(self) -> Path:
        """The folder on whose disk crash reports lie while they arrive."""
        return self.spool_path if self.blobs.url else self.blobs_path

    @property
    def copied_symbols_path(self) -> Path:
        """The folder of copies of symbols that are in a bucket."""
        return self.cache_path / "stored-symbols"

    @property
    def symbols_path(self) -> Path:
        """The folder of symbols that were uploaded, in Breakpad's layout."""
        return self.blobs_path / "symbols"

    @property
    def fetched_symbols_path(self) -> Path:
        """The folder of symbols that came from other servers."""
        return self.cache_path / "symbols"

    @property
    def declared_path(self) -> Path:
        """The folder of what users declare."""
        return Path(self.registry.folder).absolute() if self.registry.folder else self.data

    @property
    def field_files(self) -> list[Path]:
        """The user's declarations of fields of crashes."""
        return [*(Path(f) for f in self.crashes.field_files), self.declared_path / "fields.toml"]

    @property
    def signature_lists_path(self) -> Path:
        """The user's signature lists, over the shipped ones."""
        return self.declared_path / "signature-lists"

    @property
    def state_url(self) -> str:
        """SQLAlchemy address of the state database; may hold a password."""
        if self.state.url:
            return f"postgresql+psycopg://{self.state.url.partition('://')[2]}"
        return f"sqlite:///{self.data / 'state.sqlite'}"

    @property
    def probes_path(self) -> Path:
        """The imported probe dictionary."""
        return self.declared_path / "probes.json"

    @property
    def registry_files(self) -> list[Path]:
        """The user's registry files, in the order in which they are read."""
        return [*(Path(f) for f in self.registry.files), self.declared_path / "registry.toml"]


_SECTIONS = (
    "server",
    "edge",
    "ingest",
    "crashes",
    "state",
    "blobs",
    "log",
    "stream",
    "lake",
    "retention",
    "query",
    "jobs",
    "stackwalk",
    "spark",
    "registry",
    "access",
    "alerts",
)


def load_config(
    data: str | Path | None = None,
    file: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Merge file, environment and flags into a `Config`.

    `file` defaults to `missioncontrol.toml` in the working folder, then in the data folder; a missing default is
    fine, a missing named file is not. Raises `ConfigError` naming the setting that is wrong.
    """
    environ = os.environ if environ is None else environ
    folder = Path(data or environ.get("MC_DATA") or DEFAULT_DATA)
    settings: dict[str, Any] = _read(file, folder)
    data_dir = Path(data or environ.get("MC_DATA") or settings.pop("data", DEFAULT_DATA))
    settings.pop("data", None)
    for name, value in environ.items():
        if name.startswith("MC_") and "__" in name:
            *sections, key = name[3:].lower().split("__")
            _within(settings, sections)[key] = _from_text(sections, key, value)
    for section, values in (overrides or {}).items():
        settings.setdefault(section, {}).update({k: v for k, v in values.items() if v is not None})
    _refuse_unknown(settings)
    try:
        config = msgspec.convert(
            {**settings, "data": data_dir.absolute()}, Config, strict=False, dec_hook=_path
        )
    except msgspec.ValidationError as error:
        raise _wrong_value(str(error), environ) from None
    _check_state_url(config.state.url)
    _check_bucket_url("blobs", config.blobs.url)
    _check_bucket_url("lake", config.lake.url)
    return config


_BUCKET_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.=-]+)*/?", re.ASCII)


def _check_bucket_url(section: str, url: str) -> None:
    """Refuse what names no bucket, or holds a password."""
    if url and not _BUCKET_URL.fullmatch(url):
        raise ConfigError(
            f"{section}_url_invalid",
            f"Setting `{section}.url` is no address of a bucket.",
            "As in s3://bucket/prefix. Keys and endpoint are in AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL and others.",
        )


def _check_state_url(url: str) -> None:
    """Refuse what is no address of PostgreSQL, without a word of it: it may hold a password."""
    try:
        right = not url or _names_postgres(urlsplit(url))
    except ValueError:
        right = False
    if not right:
        raise ConfigError(
            "state_url_invalid",
            "Setting `state.url` is no address of a PostgreSQL database.",
            "As in postgresql+psycopg://user@host:5432/database. In a password @ is written %40, / %2F, : %3A, # %23.",
        )


def _names_postgres(parts: SplitResult) -> bool:
    if parts.scheme not in ("postgresql", "postgresql+psycopg") or parts.port == 0 or parts.fragment:
        return False
    if "@" in parts.netloc.rpartition("@")[0]:
        return False  # of a password: what follows would be taken for the host
    return bool(parts.path.strip("/") and (parts.hostname or parse_qs(parts.query).get("host")))


def _wrong_value(message: str, environ: Mapping[str, str]) -> ConfigError:
    what, _, where = message.partition(" - at `$.")
    setting = where.rstrip("`")
    variable = f"MC_{setting.upper().replace('.', '__')}"
    hint = (
        f"It comes from {variable} in the environment."
        if variable in environ
        else "See docs/reference/command-line.md."
    )
    return ConfigError("config_invalid", f"Setting `{setting}` is wrong: {what}.", hint)


def _read(file: str | Path | None, folder: Path) -> dict[str, Any]:
    candidates = [Path(file)] if file else [Path("missioncontrol.toml"), folder / "missioncontrol.toml"]
    for path in candidates:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if file:
                raise ConfigError("config_missing", f"No settings file {path}.", "Check --config.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError("config_invalid", f"{path} is no TOML: {error}") from None
        except NotADirectoryError:
            hint = "Name a folder with --data or MC_DATA; it is made when it does not exist."
            raise ConfigError("data_no_folder", f"{path.parent} is no folder.", hint) from None
        except OSError as error:
            raise ConfigError("config_unreadable", f"{path}: {error.strerror}.") from None
    return {}


def _within(settings: dict[str, Any], sections: Sequence[str]) -> dict[str, Any]:
    for section in sections:
        settings = settings.setdefault(section, {})
        if not isinstance(settings, dict):
            raise ConfigError("config_invalid", f"[{section}] must be a table of settings.")
    return settings


def _from_text(sections: Sequence[str], key: str, value: str) -> Any:
    """Lists come from the environment separated by commas; scalars are converted by msgspec."""
    field: Any = Config()
    for name in (*sections, key):
        field = getattr(field, name, None)
    return [item.strip() for item in value.split(",") if item.strip()] if isinstance(field, list) else value


def _refuse_unknown(settings: Mapping[str, Any]) -> None:
    for section, values in settings.items():
        if section not in _SECTIONS:
            raise _unknown(section, _SECTIONS)
        if not isinstance(values, dict):
            raise ConfigError("config_invalid", f"[{section}] must be a table of settings.")
        _refuse_unknown_keys(section, values, getattr(Config(), section))


def _refuse_unknown_keys(section: str, values: Mapping[str, Any], defaults: msgspec.Struct) -> None:
    known = defaults.__struct_fields__
    for key, value in values.items():
        if key not in known:
            raise _unknown(f"{section}.{key}", [f"{section}.{k}" for k in known])
        inner = getattr(defaults, key)
        if isinstance(inner, msgspec.Struct) and isinstance(value, dict):
            _refuse_unknown_keys(f"{section}.{key}", value, inner)


def _unknown(name: str, known: Any) -> ConfigError:
    close = difflib.get_close_matches(name, list(known), 1)
    hint = f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(known)}."
    return ConfigError("config_unknown", f"There is no setting `{name}`.", hint)


def _path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value
