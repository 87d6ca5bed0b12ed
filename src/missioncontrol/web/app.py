"""The web application: pages, API and static files under one set of headers and refusals.

Composes what other modules define and decides nothing itself. Submissions of clients do not pass here: the
server hands them to the ingestion edge before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, FastAPI
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.staticfiles import StaticFiles

from missioncontrol import __version__
from missioncontrol.web.alerts.api import build_alerts_api
from missioncontrol.web.alerts.pages import build_alerts_pages
from missioncontrol.web.alerts.view import AlertDesk
from missioncontrol.web.annotations.api import build_annotations_api
from missioncontrol.web.annotations.pages import annotations_of, build_annotation_forms
from missioncontrol.web.assets import STATIC, load_assets
from missioncontrol.web.auth.gate import Gate, Surroundings
from missioncontrol.web.auth.guard import guard_every_route
from missioncontrol.web.auth.login_pages import build_login
from missioncontrol.web.auth.profile_pages import build_profile
from missioncontrol.web.auth.visit import Record, reader_of
from missioncontrol.web.builds.pages import build_builds_page
from missioncontrol.web.carried.pages import build_carried_pages
from missioncontrol.web.carried.source import LakeCarried
from missioncontrol.web.channel.pages import build_channel_pages
from missioncontrol.web.crashes.api import build_crash_api
from missioncontrol.web.crashes.bugs import CrashBugs
from missioncontrol.web.crashes.bugs_api import build_crash_bugs_api
from missioncontrol.web.crashes.deleted_api import build_deleted_crashes
from missioncontrol.web.crashes.pages import build_crash_pages
from missioncontrol.web.crashes.report_pages import build_report_pages
from missioncontrol.web.crashes.route import CrashAccess
from missioncontrol.web.crashes.signature_bugs_api import build_signature_bugs
from missioncontrol.web.crashes.signature_pages import build_signature_pages
from missioncontrol.web.crashes.store import CrashSources, CrashStore
from missioncontrol.web.crashes.woven import WovenCrashes
from missioncontrol.web.experiments.pages import build_experiment_pages
from missioncontrol.web.find.pages import build_find_api, build_find_pages
from missioncontrol.web.find.source import Finder
from missioncontrol.web.guide import build_guide
from missioncontrol.web.headers import SecureHeaders
from missioncontrol.web.history.api import build_history_api
from missioncontrol.web.history.pages import build_history_pages
from missioncontrol.web.home.pages import build_home_pages
from missioncontrol.web.measure.pages import build_measure_pages
from missioncontrol.web.pages import PageSources, build_pages
from missioncontrol.web.pipeline.pages import build_pipeline_api, build_pipeline_pages
from missioncontrol.web.pipeline.view import Takes
from missioncontrol.web.refusals import install_refusals
from missioncontrol.web.registry.desk import RegistryDesk
from missioncontrol.web.registry.pages import build_registry_pages
from missioncontrol.web.releases.api import build_releases_api
from missioncontrol.web.releases.pages import build_release_pages
from missioncontrol.web.rendering import Renderer
from missioncontrol.web.sql.desk import SqlDesk
from missioncontrol.web.sql.pages import SqlKept, build_sql_pages
from missioncontrol.web.symbols.page import build_symbols_page
from missioncontrol.web.verdicts.api import build_verdicts_api
from missioncontrol.web.verdicts.pages import build_verdict_pages

if TYPE_CHECKING:
    from missioncontrol.ingest.crash.collector import Collector
    from missioncontrol.ingest.edge import Edge
    from missioncontrol.services import Services
    from missioncontrol.state.releases import Release
    from missioncontrol.web.channel.source import ChannelSource
    from missioncontrol.web.home.source import HomeSource
    from missioncontrol.web.verdicts.source import VerdictSource

_COMPACT = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.parquet",
    "application/octet-stream",
)
"""Kinds of answers that would hardly shrink."""


def create_app(
    services: Services,
    edge: Edge | None = None,
    takes: Takes = "all",
    collector: Collector | None = None,
    verdicts: VerdictSource | None = None,
) -> FastAPI:
    """The web application of one installation. A route that demands nothing of its readers demands the scope `read`.

    `edge` and `collector` count what this process takes, which is `takes`. `verdicts`: shown in place of those that
    the installation keeps.
    """
    from missioncontrol.web.channel.source import LakeChannel
    from missioncontrol.web.history.source import LakeHistory
    from missioncontrol.web.home.source import LakeHome
    from missioncontrol.web.measure.engine_lookup import EngineLookup
    from missioncontrol.web.metrics import build_metrics
    from missioncontrol.web.pipeline.source import LakePipeline
    from missioncontrol.web.warming import Around, Warming

    config = services.config
    surroundings = Surroundings(config)  # wrong settings are told before anything listens
    app = FastAPI(
        title="Mission Control",
        version=__version__,
        description="Aggregates of telemetry and crash reports, minutes after a release.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        dependencies=[Depends(guard_every_route)],
    )
    pipeline = LakePipeline(services)

    def releases(application: str | None = None, channel: str | None = None) -> list[Release]:
        return services.releases.list(application, channel)

    sources = PageSources(
        services.registry,
        EngineLookup(services.engine),
        releases,
        pipeline,
        LakeHistory(services),
        Record(lambda seen: services.access_log.add(seen)),
        lambda: datetime.now(UTC),
        pipeline.crash_reports,
        takes,
    )
    oidc = config.access.oidc
    renderer = Renderer(load_assets(), sources.history.trouble, oidc.title if oidc.issuer else "")
    install_refusals(app, renderer)
    sql = SqlDesk(config, services.sql, sources.record)
    shown = verdicts or kept_verdicts(services)
    home = LakeHome(services.engine, releases, shown)
    channel = LakeChannel(services.engine, releases, shown)
    app.state.around = Around(Warming(home, channel), sql.running)
    crashes = crash_sources(services, sources, shown)
    for router in (
        *build_apis(services, sources, sql, crashes.bugs),
        build_metrics(services, edge, collector, pipeline),
        *build_every_page(services, sources, sql, shown, crashes, renderer, home, channel),
        *build_accounts(services, renderer),
    ):
        app.include_router(router)
    # Small rather than quick: a browser keeps what has a hashed name, so each is compressed once a reader and version.
    app.mount("/static", GZipMiddleware(StaticFiles(directory=STATIC, check_dir=False)), name="static")
    app.add_middleware(GZipMiddleware, 1024, compresslevel=4, exclude_content_types=_COMPACT)
    app.add_middleware(Gate, accounts=lambda: services.accounts, surroundings=surroundings)
    app.add_middleware(SecureHeaders)
    return app


def build_apis(
    services: Services, sources: PageSources, sql: SqlDesk, bugs: CrashBugs
) -> Iterator[APIRouter]:
    """What programs ask."""
    from missioncontrol.web.aggregates.api import build_api
    from missioncontrol.web.aggregates.summary_api import build_summary_api
    from missioncontrol.web.grafana.api import build_grafana_api, usual_sources
    from missioncontrol.web.symbols.api import build_symbols

    def said() -> list[Release]:
        """Without those that were inferred: summaries see themselves when builds began, and what betas are called."""
        return [release for release in services.releases.list() if release.origin != "inferred"]

    access = CrashAccess(
        lambda request: reader_of(request).may("protected"),
        lambda request: reader_of(request).may("reprocess"),
        sources.record.note,
    )
    yield build_api(services.engine, sql, services.registry, services.config)
    yield build_summary_api(services.engine, said, sources.now, services.config)
    yield build_grafana_api(services, sources.lookup, usual_sources(services, sources.now), sources.now)
    yield from build_crash_routers(services, access)
    yield build_deleted_crashes(lambda: services.crash_deletions)
    yield build_signature_bugs(bugs)
    yield build_symbols(services)
    yield build_releases_api(lambda: services.releases, sources.now)
    yield build_annotations_api(lambda: services.annotations, sources.now)
    yield build_verdicts_api(
        lambda: services.verdict_records, lambda: services.courses, lambda: services.releases
    )
    yield build_pipeline_api(sources)
    yield build_history_api(sources.history, sources.now)
    yield build_alerts_api(AlertDesk(services, sources.now))


def build_every_page(
    services: Services,
    sources: PageSources,
    sql: SqlDesk,
    verdicts: VerdictSource,
    crashes: CrashSources,
    renderer: Renderer,
    home: HomeSource,
    channel: ChannelSource,
) -> Iterator[APIRouter]:
    """What people look at."""
    from missioncontrol.web.builds.source import LakeBuilds
    from missioncontrol.web.experiments.source import LakeExperiments

    engine = services.engine
    carried = LakeCarried(
        lambda: engine, verdicts, lambda: services.courses, lambda: services.releases, crashes.reports
    )
    yield build_home_pages(sources, home, renderer)
    yield build_channel_pages(sources, channel, renderer)
    yield build_pages(sources, renderer)
    yield build_pipeline_pages(sources, renderer)
    yield build_measure_pages(sources, annotations_of(lambda: services.annotations), renderer)
    yield build_annotation_forms(lambda: services.annotations, sources.now)
    yield build_release_pages(sources, lambda: services.releases, renderer)
    yield build_history_pages(sources, renderer)
    yield build_verdict_pages(sources, verdicts, renderer)
    yield build_carried_pages(sources, carried, crashes.bugs, renderer)
    yield build_crash_pages(crashes, renderer)
    yield build_signature_pages(crashes, renderer)
    yield build_report_pages(crashes, renderer)
    yield build_symbols_page(crashes, renderer)
    yield build_alerts_pages(AlertDesk(services, sources.now), sources, renderer)
    kept = SqlKept(lambda: services.saved_queries, lambda: services.query_history)
    yield build_sql_pages(sources, sql, kept, renderer)
    yield build_registry_pages(RegistryDesk(services, sources.now), sources, renderer)
    yield build_builds_page(sources, LakeBuilds(engine), renderer)
    yield build_experiment_pages(sources, LakeExperiments(engine), renderer)
    yield build_guide(sources, renderer)
    finder = Finder(home, sources.registry, crashes.store, crashes.reports, sources.lookup, sources.now)
    yield build_find_pages(finder, sources, renderer)
    yield build_find_api(finder)


def build_accounts(services: Services, renderer: Renderer) -> Iterator[APIRouter]:
    """Signing in and out, and who one is."""
    yield build_login(lambda: services.accounts, renderer)
    yield build_profile(lambda: services.accounts, renderer)
    oidc = services.config.access.oidc
    if oidc.issuer:
        from missioncontrol.web.auth.provider import Provider
        from missioncontrol.web.auth.provider_pages import build_provider_login

        yield build_provider_login(lambda: services.accounts, Provider(oidc), lambda: services.sign_ins)


def crash_sources(services: Services, sources: PageSources, verdicts: VerdictSource) -> CrashSources:
    """Where the pages of crashes get what they show."""
    from missioncontrol.query.crash_reports import CrashReports

    return CrashSources(
        CrashStore(
            services.blobs, lambda: services.crash_queue, lambda: services.crash_fields(), sources.now
        ),
        CrashReports(services.engine),
        lambda: services.crash_queue,
        lambda: services.crash_fields(),
        services.crash_settings,
        services.config.crashes.sources,
        CrashBugs(lambda: services.signature_bugs, services.bug_trackers),
        services.config.ingest.crash_backlog_max,
        sources.record,
        sources.now,
        lambda: services.symbol_folders,
        services.missing_symbols,
        WovenCrashes(lambda: services.engine, lambda: services.releases, verdicts, services.registry),
        sources.takes,
    )


def kept_verdicts(services: Services) -> VerdictSource:
    """What the pages of verdicts show: the verdicts that this installation keeps."""
    from missioncontrol.web.verdicts.kept import KeptVerdicts

    return KeptVerdicts(
        lambda: services.verdict_records,
        lambda: services.courses,
        lambda: services.blobs,
        services.registry,
        lambda: services.releases,
        lambda: services.engine,
        services.config,
    )


def build_crash_routers(services: Services, access: CrashAccess = CrashAccess()) -> list[APIRouter]:
    """The Crash Stats API; `access` says what the reader of a request may do."""
    from missioncontrol.web.crashes.search_api import build_crash_search_api
    from missioncontrol.web.crashes.tools_api import build_crash_tools_api

    return [
        build_crash_api(services.blobs, services.crash_fields, access),
        build_crash_search_api(services.crash_search, services.config, access),
        build_crash_bugs_api(lambda: services.signature_bugs),
        build_crash_tools_api(
            services.blobs,
            lambda: services.crash_queue,
            lambda: services.signatures,
            lambda: services.releases,
            access,
        ),
    ]
