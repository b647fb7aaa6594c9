"""Settings: where they come from, and what a person is told about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.upper().startswith("PIPELINE_"):
            monkeypatch.delenv(name)


def _error(config: Path | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load_settings(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_anything_everything_is_on_this_machine() -> None:
    settings = load_settings()
    assert (settings.plan, settings.stream, settings.group) == ("shop", "main", "streamgauge")
    assert settings.kafka_kwargs() == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
    assert settings.clickhouse_kwargs() == {
        "interface": "http",
        "host": "127.0.0.1",
        "port": 8123,
        "proxy_path": "",
        "username": "default",
        "password": "",
        "send_receive_timeout": 60.0,
    }


def test_a_variable_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "streamgauge.toml"
    file.write_text('plan = "mine.yaml"\npartitions = 32\n')
    monkeypatch.setenv("PIPELINE_CONFIG", str(file))
    monkeypatch.setenv("PIPELINE_PARTITIONS", "16")
    settings = load_settings()
    assert (settings.plan, settings.partitions) == ("mine.yaml", 16)


def test_a_file_that_is_given_wins_over_the_one_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text('stream = "a"\n')
    (tmp_path / "b.toml").write_text('stream = "b"\n')
    monkeypatch.setenv("PIPELINE_CONFIG", str(tmp_path / "a.toml"))
    assert load_settings(tmp_path / "b.toml").stream == "b"


def test_a_child_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    monkeypatch.setenv("PIPELINE_KAFKA_SASL_USERNAME", "sam")
    monkeypatch.setenv("PIPELINE_KAFKA_SASL_PASSWORD", "p w")
    monkeypatch.setenv("PIPELINE_STATE_DIR", "/var/lib/streamgauge")
    settings = load_settings().model_copy(update={"stream": "local-7"})
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == settings


def test_a_misspelt_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_KAFKA_BOOTSTRP", "kafka:9092")
    assert _error() == "PIPELINE_KAFKA_BOOTSTRP is not a setting: did you mean PIPELINE_KAFKA_BOOTSTRAP?"


def test_a_misspelt_name_in_the_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("partition = 3\n")
    assert _error(file) == f"{file}: partition is not a setting: did you mean partitions?"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "PARTITIONS",
            "many",
            "PIPELINE_PARTITIONS: input should be a valid integer, unable to parse string as an integer (found 'many')",
        ),
        (
            "KAFKA_BOOTSTRAP",
            "kafka",
            "PIPELINE_KAFKA_BOOTSTRAP: write host:port, several separated by commas (found 'kafka')",
        ),
        (
            "CLICKHOUSE_URL",
            "localhost:8123",
            "PIPELINE_CLICKHOUSE_URL: write it like http://127.0.0.1:8123 or https://clickhouse.example.com:8443",
        ),
        (
            "CLICKHOUSE_URL",
            "http://me:secret@ch:8123",
            "PIPELINE_CLICKHOUSE_URL: no name or password in it: they go to PIPELINE_CLICKHOUSE_USER and _PASSWORD",
        ),
        (
            "KAFKA_SECURITY_PROTOCOL",
            "SASL_SSL",
            "PIPELINE_KAFKA_SASL_USERNAME and PIPELINE_KAFKA_SASL_PASSWORD are needed with "
            "PIPELINE_KAFKA_SECURITY_PROTOCOL=SASL_SSL",
        ),
        (
            "KAFKA_SASL_USERNAME",
            "sam",
            "PIPELINE_KAFKA_SASL_USERNAME needs PIPELINE_KAFKA_SECURITY_PROTOCOL=SASL_SSL",
        ),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"PIPELINE_{name}", value)
    assert _error() == message


def test_a_wrong_value_in_the_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "s.toml"
    file.write_text("retention_days = 0\n")
    expected = f"{file}: retention_days: input should be greater than or equal to 1 (found '0')"
    assert _error(file) == expected


def test_a_file_that_is_missing_or_no_toml_is_an_error(tmp_path: Path) -> None:
    assert "s.toml can't be read: No such file or directory" in _error(tmp_path / "s.toml")
    (tmp_path / "s.toml").write_text("plan: shop\n")
    assert "s.toml is not TOML" in _error(tmp_path / "s.toml")


def test_passwords_do_not_show() -> None:
    settings = Settings(clickhouse_password="hidden", kafka_sasl_password="hidden")  # type: ignore[arg-type]
    assert "hidden" not in repr(settings)


def test_certificates_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    settings = Settings(kafka_security_protocol="SSL", kafka_ssl_cafile=tmp_path / "none.pem")
    with pytest.raises(UserError, match="PIPELINE_KAFKA_SSL"):
        settings.kafka_kwargs()


def test_https_without_a_port_is_8443() -> None:
    settings = Settings(clickhouse_url="https://ch.example.com", clickhouse_verify=False)
    kwargs = settings.clickhouse_kwargs()
    assert (kwargs["interface"], kwargs["port"], kwargs["verify"]) == ("https", 8443, False)
