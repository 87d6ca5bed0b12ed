"""What an installation keeps in its state, and its registry."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from missioncontrol.config import Config
from missioncontrol.registry.watch import RegistryWatcher

if TYPE_CHECKING:
    from missioncontrol.access.accounts import Accounts
    from missioncontrol.alerts.delivery import Deliverer
    from missioncontrol.alerts.intake import Alerts
    from missioncontrol.alerts.setup import Setup
    from missioncontrol.log.identities import Identities
    from missioncontrol.state.access_log import AccessLog
    from missioncontrol.state.alert_channels import AlertChannels
    from missioncontrol.state.alert_log import AlertLog
    from missioncontrol.state.annotations import Annotations
    from missioncontrol.state.crash_deletions import CrashDeletions
    from missioncontrol.state.crash_queue import CrashQueue
    from missioncontrol.state.crash_recounts import CrashRecounts
    from missioncontrol.state.database import Database
    from missioncontrol.state.identities import KnownIdentities
    from missioncontrol.state.leases import Leases
    from missioncontrol.state.query_history import QueryHistory
    from missioncontrol.state.releases import Releases
    from missioncontrol.state.runs import Runs
    from missioncontrol.state.saved_queries import SavedQueries
    from missioncontrol.state.sign_ins import SignIns
    from missioncontrol.state.signature_bugs import SignatureBugs
    from missioncontrol.state.symbol_changes import SymbolChanges
    from missioncontrol.state.turns import Turn


def open_identities(config: Config) -> Identities:
    """What tells duplicates, for a process of Spark's, which does one task after another."""
    return _identities(config.state_url, config.log.dedup_days)


@lru_cache(maxsize=1)
def _identities(url: str, dedup_days: int) -> Identities:
    from missioncontrol.state.database import Database
    from missioncontrol.state.identities import KnownIdentities

    return KnownIdentities(Database(url), dedup_days)


class StateServices:
    """Settings, registry and state of one installation."""

    def __init__(self, config: Config) -> None:
        self.config = config

    @cached_property
    def registry(self) -> RegistryWatcher:
        """The registry in force."""
        return RegistryWatcher(self.config.registry_files)

    @cached_property
    def _database(self) -> Database:
        from missioncontrol.state.database import Database

        return Database(self.config.state_url)

    @property
    def database(self) -> Database:
        """The state database as a whole."""
        return self._database

    def state_schema(self) -> str:
        """The newest migration of the state database. Raises `StorageError`."""
        return self._database.schema()

    @cached_property
    def leases(self) -> Leases:
        """Who does what one process of the installation does."""
        from missioncontrol.state.leases import Leases

        return Leases(self._database)

    def turn(self, name: str) -> Turn:
        """The turn to do what one process of the installation does at a time."""
        from missioncontrol.state.turns import FileTurn, LeaseTurn

        if self.config.state.url:
            return LeaseTurn(self.leases, name)
        return FileTurn(self.config.data / f"{name}.lock")

    @cached_property
    def identities(self) -> KnownIdentities:
        """The document ids that are known, for a log on Kafka."""
        from missioncontrol.state.identities import KnownIdentities

        return KnownIdentities(self._database, self.config.log.dedup_days)

    @cached_property
    def releases(self) -> Releases:
        """Which builds were published when."""
        from missioncontrol.state.releases import Releases

        return Releases(self._database)

    @cached_property
    def runs(self) -> Runs:
        """Runs of jobs and the days that they built."""
        from missioncontrol.state.runs import Runs

        return Runs(self._database)

    @cached_property
    def crash_queue(self) -> CrashQueue:
        """The crashes to be processed."""
        from missioncontrol.state.crash_queue import CrashQueue

        return CrashQueue(self._database)

    @cached_property
    def crash_recounts(self) -> CrashRecounts:
        """The hours of crashes that are to be counted again."""
        from missioncontrol.state.crash_recounts import CrashRecounts

        return CrashRecounts(self._database)

    @cached_property
    def crash_deletions(self) -> CrashDeletions:
        """The record of crashes that were deleted."""
        from missioncontrol.state.crash_deletions import CrashDeletions

        return CrashDeletions(self._database)

    @cached_property
    def signature_bugs(self) -> SignatureBugs:
        """Which bugs signatures have."""
        from missioncontrol.state.signature_bugs import SignatureBugs

        return SignatureBugs(self._database)

    @cached_property
    def symbol_changes(self) -> SymbolChanges:
        """The journal by which walkers learn of symbols that arrived."""
        from missioncontrol.state.symbol_changes import SymbolChanges

        return SymbolChanges(self._database)

    @cached_property
    def accounts(self) -> Accounts:
        """Users, tokens and sessions; raises `ConfigError` for wrong settings of access."""
        from missioncontrol.access.accounts import Accounts
        from missioncontrol.state.sessions import Sessions
        from missioncontrol.state.tokens import Tokens
        from missioncontrol.state.users import Users

        return Accounts(Users(self._database), Tokens(self._database), Sessions(self._database), self.config)

    @cached_property
    def sign_ins(self) -> SignIns:
        """Sign-ins by a provider that have begun."""
        from missioncontrol.state.sign_ins import SignIns

        return SignIns(self._database)

    @cached_property
    def access_log(self) -> AccessLog:
        """Who saw protected things."""
        from missioncontrol.state.access_log import AccessLog

        return AccessLog(self._database)

    @cached_property
    def annotations(self) -> Annotations:
        """What people noted at a time."""
        from missioncontrol.state.annotations import Annotations

        return Annotations(self._database)

    @cached_property
    def saved_queries(self) -> SavedQueries:
        """SQL that people saved."""
        from missioncontrol.state.saved_queries import SavedQueries

        return SavedQueries(self._database)

    @cached_property
    def query_history(self) -> QueryHistory:
        """SQL that each reader ran."""
        from missioncontrol.state.query_history import QueryHistory

        return QueryHistory(self._database)

    @cached_property
    def alerts(self) -> Alerts:
        """Takes changes of verdicts, to be told."""
        from missioncontrol.alerts.intake import Alerts

        return Alerts(self.alert_channels, self.alert_log, self.registry)

    @cached_property
    def alert_channels(self) -> AlertChannels:
        """Where alerts go, and by which rules."""
        from missioncontrol.state.alert_channels import AlertChannels

        return AlertChannels(self._database)

    @cached_property
    def alert_log(self) -> AlertLog:
        """Changes of verdicts, and what was told of them."""
        from missioncontrol.state.alert_log import AlertLog

        return AlertLog(self._database)

    @cached_property
    def alert_setup(self) -> Setup:
        """Changes where alerts go, and the rules."""
        from missioncontrol.alerts.setup import Setup

        return Setup(self.alert_channels, self.config.alerts)

    @cached_property
    def alert_deliverer(self) -> Deliverer:
        """Sends alerts."""
        from missioncontrol.alerts.delivery import Deliverer
        from missioncontrol.alerts.mail import Mailer

        config = self.config
        return Deliverer(self.alert_channels, self.alert_log, Mailer(config.alerts), config.base_url)
