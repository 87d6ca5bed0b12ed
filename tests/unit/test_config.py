"""Settings come from file, environment and flags, in this order, and wrong ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from missioncontrol.config import load_config
from missioncontrol.errors import ConfigError


def test_without_anything_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(environ={})
    assert config.data == tmp_path / "missioncontrol-data"
    assert (config.server.port, config.stream.min_interval_s) == (8000, 0.5)


def test_environment_overrides_the_file_and_flags_override_both(tmp_path: Path) -> None:
    file = tmp_path / "mc.toml"
    file.write_text('[server]\nport = 1\nhost = "::1"\n[edge]\ntrusted_proxies = ["10.0.0.0/8"]\n')
    config = load_config(None, file, {"MC_DATA": str(tmp_path / "d"), "MC_SERVER__PORT": "2"})
    assert (config.server.host, config.server.port, config.data) == ("::1", 2, tmp_path / "d")
    assert config.edge.trusted_proxies == ["10.0.0.0/8"]
    flagged = load_config("x", file, {"MC_SERVER__PORT": "2"}, {"server": {"port": 3, "host": None}})
    assert (flagged.server.port, flagged.server.host) == (3, "::1")


def test_the_data_folder_may_hold_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "missioncontrol.toml").write_text("[query]\ntimeout_s = 5\n")
    assert load_config(tmp_path / "d", environ={}).query.timeout_s == 5


def test_lists_and_switches_come_from_the_environment_too() -> None:
    config = load_config(
        "x", environ={"MC_EDGE__TRUSTED_PROXIES": "::1, 10.1.2.3", "MC_LAKE__ARCHIVE": "false"}
    )
    assert config.edge.trusted_proxies == ["::1", "10.1.2.3"]
    assert config.lake.archive is False


@pytest.mark.parametrize(
    ("environ", "message", "hint"),
    [
        ({"MC_SERVER__PROT": "1"}, "no setting `server.prot`", "server.port"),
        ({"MC_SREAM__X": "1"}, "no setting `sream`", "stream"),
        ({"MC_SERVER__PORT": "many"}, "port", ""),
    ],
)
def test_wrong_settings_are_named(environ: dict[str, str], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("x", environ=environ)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_the_state_is_in_the_data_folder_or_on_postgresql() -> None:
    assert load_config("/x", environ={}).state_url == "sqlite:////x/state.sqlite"
    for scheme in ("postgresql", "postgresql+psycopg"):
        config = load_config("/x", environ={"MC_STATE__URL": f"{scheme}://mc:s3cret@db:5432/mc"})
        assert config.state_url == "postgresql+psycopg://mc:s3cret@db:5432/mc"
        assert "s3cret" not in repr(config)
    socket = {"MC_STATE__URL": "postgresql:///mc?host=/run/postgresql"}
    assert load_config("/x", environ=socket).state_url == "postgresql+psycopg:///mc?host=/run/postgresql"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://mc:s3cret@db/mc", "sqlite:///s3cret", "s3cret", "postgresql://mc:s3cret@db", "postgresql:///s3cret",
        "postgresql://mc:s3cret@db:port/mc", "postgresql://mc:s3cret@x@db/mc", "postgresql://mc:s3cret/x@db/mc",
        "postgresql://mc:s3cret#x@db/mc",
    ],
)  # fmt: skip
def test_an_address_of_the_state_that_cannot_be_right_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("x", environ={"MC_STATE__URL": url})
    assert caught.value.code == "state_url_invalid"
    assert "s3cret" not in str(caught.value.as_dict())


@pytest.mark.parametrize("text", ["[server", "server = 3", "[other]\nx = 1"])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mc.toml").write_text(text)
    with pytest.raises(ConfigError):
        load_config("x", tmp_path / "mc.toml", {})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No settings file"):
        load_config("x", tmp_path / "none.toml", {})


def test_declarations_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    config = load_config(tmp_path / "data", environ={"MC_REGISTRY__FOLDER": str(tmp_path / "shared")})
    assert config.registry_files == [tmp_path / "shared" / "registry.toml"]
    assert config.field_files == [tmp_path / "shared" / "fields.toml"]
    assert config.signature_lists_path == tmp_path / "shared" / "signature-lists"
    assert load_config(tmp_path / "data", environ={}).registry_files == [tmp_path / "data" / "registry.toml"]


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("s3://bucket", True),
        ("s3://my-bucket/a/b.c", True),
        ("s3://bucket/", True),
        ("s3://", False),
        ("http://bucket", False),
        ("s3://key:secret@bucket/x", False),
        ("s3://bucket/a b", False),
        ("s3://bucket/x?secret=y", False),
    ],
)
def test_the_address_of_a_bucket(tmp_path: Path, url: str, right: bool) -> None:
    environ = {"MC_BLOBS__URL": url}
    if right:
        assert load_config(tmp_path, environ=environ).blobs.url == url
        return
    with pytest.raises(ConfigError) as wrong:
        load_config(tmp_path, environ=environ)
    assert wrong.value.code == "blobs_url_invalid" and "secret" not in wrong.value.message + wrong.value.hint
