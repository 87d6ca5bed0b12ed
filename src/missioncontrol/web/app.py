"""The web application: pages, API and static files under one set of headers and refusals.

Composes what other modules define and decides nothing itself. Submissions of clients do not pass here: the
server hands them to the ingestion edge before.
"""

from __future__ import annotations

from collections.abc import Callable
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
    from missioncontrol.access.accounts import Accounts
    from missioncontrol.config import Config
    from missioncontrol.ingest.crash.collector import Collector
    from missioncontrol.ingest.edge import Edge
    from missioncontrol.services import Services
    from missioncontrol.state.annotations import Annotations
    from missioncontrol.state.releases import Release, Releases
    from missioncontrol.web.builds.source import BuildSource
    from missioncontrol.web.carried.source import CarriedSource
    from missioncontrol.web.channel.source import ChannelSource
    from missioncontrol.web.experiments.source import ExperimentSource
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
    """The web application of one installation.

    `edge` and `collector` count what this process takes, which is `takes`. `verdicts`: shown in place of those that
    the installation keeps.
    """
    from missioncontrol.query.crash_reports import CrashReports
    from missioncontrol.web.aggregates.api import build_api
    from missioncontrol.web.aggregates.summary_api import build_summary_api
    from missioncontrol.web.builds.source import LakeBuilds
    from missioncontrol.web.channel.source import LakeChannel
    from missioncontrol.web.experiments.source import LakeExperiments
    from missioncontrol.web.grafana.api import build_grafana_api, usual_sources
    from missioncontrol.web.history.source import LakeHistory
    from missioncontrol.web.home.source import LakeHome
    from missioncontrol.web.measure.engine_lookup import EngineLookup
    from missioncontrol.web.metrics import build_metrics
    from missioncontrol.web.pipeline.source import LakePipeline
    from missioncontrol.web.symbols.api import build_symbols

    def releases(application: str | None, channel: str | None) -> list[Release]:
        return services.releases.list(application, channel)

    def said() -> list[Release]:
        """Without those that were inferred: summaries see themselves when builds began, and what betas are called."""
        return [release for release in releases(None, None) if release.origin != "inferred"]

    lookup, pipeline = EngineLookup(services.engine), LakePipeline(services)
    sources = PageSources(
        services.registry,
        lookup,
        releases,
        pipeline,
        LakeHistory(services),
        Record(lambda seen: services.access_log.add(seen)),
        lambda: datetime.now(UTC),
        pipeline.crash_reports,
        takes,
    )
    sql = SqlDesk(services.config, services.sql, sources.record)
    api = build_api(services.engine, sql, services.registry, services.config)
    store = CrashStore(
        services.blobs, lambda: services.crash_queue, lambda: services.crash_fields(), sources.now
    )
    bugs = CrashBugs(lambda: services.signature_bugs, services.bug_trackers)
    shown = verdicts or kept_verdicts(services)
    crashes = CrashSources(
        store,
        CrashReports(services.engine),
        lambda: services.crash_queue,
        lambda: services.crash_fields(),
        services.crash_settings,
        services.config.crashes.sources,
        bugs,
        services.config.ingest.crash_backlog_max,
        sources.record,
        sources.now,
        lambda: services.symbol_folders,
        services.missing_symbols,
        WovenCrashes(lambda: services.engine, lambda: services.releases, shown, services.registry),
        takes,
    )
    access = CrashAccess(
        lambda request: reader_of(request).may("protected"),
        lambda request: reader_of(request).may("reprocess"),
        sources.record.note,
    )
    carried = LakeCarried(
        lambda: services.engine, shown, lambda: services.courses, lambda: services.releases, crashes.reports
    )
    return compose(
        sources,
        [
            api,
            build_summary_api(services.engine, said, sources.now, services.config),
            build_metrics(services, edge, collector, pipeline),
            build_grafana_api(services, usual_sources(services), sources.now),
            *build_crash_routers(services, access),
            build_deleted_crashes(lambda: services.crash_deletions),
            build_signature_bugs(bugs),
            build_symbols(services),
            build_releases_api(lambda: services.releases, sources.now),
            build_annotations_api(lambda: services.annotations, sources.now),
            build_verdicts_api(
                lambda: services.verdict_records, lambda: services.courses, lambda: services.releases
            ),
        ],
        lambda: services.accounts,
        services.config,
        crashes,
        shown,
        carried,
        lambda: services.releases,
        AlertDesk(services, sources.now),
        LakeHome(services.engine, lambda: releases(None, None), shown),
        LakeChannel(services.engine, lambda: releases(None, None), shown),
        (sql, SqlKept(lambda: services.saved_queries, lambda: services.query_history)),
        RegistryDesk(services, sources.now),
        (LakeBuilds(services.engine), LakeExperiments(services.engine)),
        lambda: services.annotations,
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


def compose(
    sources: PageSources,
    routers: list[APIRouter],
    accounts: Callable[[], Accounts],
    config: Config,
    crashes: CrashSources,
    verdicts: VerdictSource,
    carried: CarriedSource,
    releases: Callable[[], Releases],
    alerts: AlertDesk,
    home: HomeSource,
    channel: ChannelSource,
    sql: tuple[SqlDesk, SqlKept],
    declared: RegistryDesk,
    compared: tuple[BuildSource, ExperimentSource],
    annotations: Callable[[], Annotations],
) -> FastAPI:
    """An application of the pages over `sources` and any further routers.

    A route that demands nothing of its readers demands the scope `read`.
    """
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
    oidc = config.access.oidc
    renderer = Renderer(load_assets(), sources.history.trouble, oidc.title if oidc.issuer else "")
    install_refusals(app, renderer)
    for router in routers:
        app.include_router(router)
    app.include_router(build_pipeline_api(sources))
    app.include_router(build_history_api(sources.history, sources.now))
    app.include_router(build_home_pages(sources, home, renderer))
    app.include_router(build_channel_pages(sources, channel, renderer))
    app.include_router(build_pages(sources, renderer))
    app.include_router(build_pipeline_pages(sources, renderer))
    app.include_router(build_measure_pages(sources, annotations_of(annotations), renderer))
    app.include_router(build_annotation_forms(annotations, sources.now))
    app.include_router(build_release_pages(sources, releases, renderer))
    app.include_router(build_history_pages(sources, renderer))
    app.include_router(build_verdict_pages(sources, verdicts, renderer))
    app.include_router(build_carried_pages(sources, carried, crashes.bugs, renderer))
    app.include_router(build_crash_pages(crashes, renderer))
    app.include_router(build_signature_pages(crashes, renderer))
    app.include_router(build_report_pages(crashes, renderer))
    app.include_router(build_symbols_page(crashes, renderer))
    app.include_router(build_alerts_api(alerts))
    app.include_router(build_alerts_pages(alerts, sources, renderer))
    app.include_router(build_sql_pages(sources, *sql, renderer))
    app.include_router(build_registry_pages(declared, sources, renderer))
    app.include_router(build_builds_page(sources, compared[0], renderer))
    app.include_router(build_experiment_pages(sources, compared[1], renderer))
    app.include_router(build_login(accounts, renderer))
    app.include_router(build_profile(accounts, renderer))
    if oidc.issuer:
        from missioncontrol.web.auth.provider import Provider
        from missioncontrol.web.auth.provider_pages import build_provider_login

        app.include_router(build_provider_login(accounts, Provider(oidc)))
    app.include_router(build_guide(sources, renderer))
    finder = Finder(home, sources.registry, crashes.store, crashes.reports, sources.now)
    app.include_router(build_find_pages(finder, sources, renderer))
    app.include_router(build_find_api(finder))
    # Small rather than quick: a browser keeps what has a hashed name, so each is compressed once a reader and version.
    app.mount("/static", GZipMiddleware(StaticFiles(directory=STATIC, check_dir=False)), name="static")
    app.add_middleware(GZipMiddleware, 1024, compresslevel=4, exclude_content_types=_COMPACT)
    app.add_middleware(Gate, accounts=accounts, surroundings=surroundings)
    app.add_middleware(SecureHeaders)
    return app
