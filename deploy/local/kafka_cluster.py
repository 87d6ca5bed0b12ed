"""Three Kafka brokers on one machine, each a controller too (KRaft), for whoever tries what a lost broker does.

Clients reach them over TLS and sign in with SCRAM-SHA-512; the brokers among themselves do neither, on ports of their
own. Every topic has three replicas, of which two must be in sync for a write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from .kafka import KafkaBroker, replicas
from .process import free_ports

MEMBERS = 3
_HEAP_MB = 300


class Access(msgspec.Struct, frozen=True):
    """What brokers and their clients know of each other."""

    certificate: Path
    """PEM file with the brokers' key (PKCS #8) and their certificate, for the address 127.0.0.1."""
    authority: Path
    """PEM file with the certificate of whoever signed that one."""
    users: Mapping[str, str]
    """User -> password; they are made with the cluster."""

    def client_settings(self, user: str) -> dict[str, str]:
        """How a user signs in, by the names of librdkafka."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": self.users[user],
            "ssl.ca.location": str(self.authority),
        }


class Places(msgspec.Struct, frozen=True):
    """The ports of a broker."""

    clients: int
    brokers: int
    controllers: int


class Member(KafkaBroker):
    """One broker of the cluster; `number` is its id."""

    java_options = (
        "-XX:TieredStopAtLevel=1",
    )  # it lives for a minute or two: what is compiled well pays too late

    def __init__(self, folder: Path, number: int, places: Sequence[Places], access: Access) -> None:
        own = places[number - 1]
        super().__init__(folder, own.clients, own.controllers, _HEAP_MB)
        self.number = number
        self._places, self._access = places, access

    def client_settings(self) -> dict[str, str]:
        """How the first user reaches it."""
        return {
            "bootstrap.servers": self.bootstrap,
            **self._access.client_settings(next(iter(self._access.users))),
        }

    def _own_settings(self) -> dict[str, str]:
        own = self._places[self.number - 1]
        listeners = {"CLIENTS": own.clients, "BROKERS": own.brokers}
        addresses = ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())
        voters = (f"{n}@127.0.0.1:{places.controllers}" for n, places in enumerate(self._places, 1))
        return {
            "node.id": str(self.number),
            "controller.quorum.voters": ",".join(voters),
            "listeners": f"{addresses},CONTROLLER://127.0.0.1:{own.controllers}",
            "advertised.listeners": addresses,
            "listener.security.protocol.map": "CLIENTS:SASL_SSL,BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "BROKERS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.clients.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._access.certificate),
            "min.insync.replicas": str(MEMBERS - 1),
            **replicas(MEMBERS),
            # A broker that was killed is given up after 4 s, not 9.
            "broker.heartbeat.interval.ms": "500",
            "broker.session.timeout.ms": "4000",
        }

    def _users(self) -> list[str]:
        found = []
        for user, password in self._access.users.items():
            found += ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]
        return found


class KafkaCluster:
    """The brokers, each of which can be ended and started by itself; `bootstrap` is their clients' address."""

    def __init__(self, folder: Path, access: Access) -> None:
        self.access = access
        ports = iter(free_ports(3 * MEMBERS))
        places = [Places(next(ports), next(ports), next(ports)) for _ in range(MEMBERS)]
        self.members = [Member(folder / f"kafka-{n}", n, places, access) for n in range(1, MEMBERS + 1)]

    @property
    def bootstrap(self) -> str:
        """What clients call `bootstrap.servers`."""
        return ",".join(member.bootstrap for member in self.members)

    def client_settings(self, user: str) -> dict[str, str]:
        """How a user reaches it, by the names of librdkafka."""
        return {"bootstrap.servers": self.bootstrap, **self.access.client_settings(user)}

    def create(self) -> None:
        """Make the brokers' data when there is none. Raises `SetupError`."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(Member.create, self.members))

    def start(self) -> None:
        """Start all: one alone takes no requests, as it takes two to agree. Raises `SetupError`."""
        for member in self.members:
            member.launch()
        for member in self.members:
            member.wait_until_up()

    def kill(self) -> None:
        """End all as `kill -9` does."""
        for member in self.members:
            member.kill()
