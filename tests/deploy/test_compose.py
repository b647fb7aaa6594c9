"""The compose file: complete, pinned, closed to the outside, and without secrets."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from needs import compose_command

from pipeline import __version__
from pipeline.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
EXAMPLE = DEPLOY / "example.env"
#: A value that compose takes from the environment, with a sentence for whoever forgot it.
FROM_ENVIRONMENT = re.compile(r"^\$\{([A-Z_]+):\?[^}]+\}$")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def example_values() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_the_whole_system_is_there_and_each_role_runs_its_command(
    services: dict[str, dict[str, Any]],
) -> None:
    assert set(services) == {
        "kafka", "clickhouse", "migrate", "worker", "archiver", "collect", "prometheus",
        "alertmanager", "bridge", "grafana",
    }  # fmt: skip
    assert {name: s["command"] for name, s in services.items() if "build" in s} == {
        "migrate": ["migrate"],
        "worker": ["worker"],
        "archiver": ["archiver"],
        "collect": ["collect"],
        "bridge": ["alerts", "bridge", "--host", "0.0.0.0", "--port", "9600"],
    }


def test_parts_start_in_order(services: dict[str, dict[str, Any]]) -> None:
    kafka, migrated = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}
    assert services["migrate"]["depends_on"] == {"clickhouse": {"condition": "service_healthy"}}
    assert services["worker"]["depends_on"] == {"kafka": kafka, "migrate": migrated}
    assert services["archiver"]["depends_on"] == {"kafka": kafka, "migrate": migrated}
    waited_for = {
        name
        for service in services.values()
        for name, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    # A part without a health check of its own is never healthy, and what waits for it never starts.
    assert all(services[name]["healthcheck"]["test"] for name in waited_for)


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        _, _, tag = service["image"].rpartition(":")
        assert re.fullmatch(r"v?\d+(\.\d+)+", tag), f"{name}: {service['image']}"
        assert tag == __version__ or "build" not in service, name


def test_kafka_is_the_version_that_the_tests_run_against(services: dict[str, dict[str, Any]]) -> None:
    pom = ElementTree.parse(ROOT / "pipeline/embedded/kafka/pom.xml").findtext(".//{*}kafka.version")
    assert services["kafka"]["image"] == f"apache/kafka:{pom}"


def test_only_loopback_ports_are_published(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    open_to_host = {"kafka", "clickhouse", "worker", "archiver", "collect", "prometheus", "alertmanager", "grafana"}
    assert set(published) == open_to_host
    for ports in published.values():
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+(-\d+)?:\d+", port) for port in ports), ports


def test_kafka_sends_clients_of_the_host_to_the_published_port(services: dict[str, dict[str, Any]]) -> None:
    kafka = services["kafka"]
    advertised = dict(a.split("://") for a in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(","))
    listeners = dict(a.split("://:") for a in kafka["environment"]["KAFKA_LISTENERS"].split(","))
    assert kafka["ports"] == [f"{advertised['HOST']}:{listeners['HOST']}"]
    assert advertised["INSIDE"] == f"kafka:{listeners['INSIDE']}"
    for role in ("worker", "archiver"):
        assert services[role]["environment"]["PIPELINE_KAFKA_BOOTSTRAP"] == advertised["INSIDE"]


def test_what_is_mounted_exists_and_what_must_last_has_a_volume(
    compose: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    used = set()
    for service in services.values():
        for volume in service.get("volumes", []):
            source, _, _ = volume.partition(":")
            if source.startswith("."):
                assert (DEPLOY / source).is_file(), source
                assert volume.endswith(":ro")
            else:
                used.add(source)
    assert used == set(compose["volumes"])
    assert used == {
        "kafka-data", "clickhouse-data", "prometheus-data", "alertmanager-data", "grafana-data", "sources"
    }  # fmt: skip
    log_dirs = services["kafka"]["environment"]["KAFKA_LOG_DIRS"]
    assert services["kafka"]["volumes"] == [f"kafka-data:{log_dirs}"]
    build = services["worker"]["build"]
    assert (DEPLOY / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


def test_passwords_come_from_the_environment_and_the_example_names_them_all(
    services: dict[str, dict[str, Any]],
) -> None:
    needed = set()
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            found = FROM_ENVIRONMENT.match(value)
            if found:
                needed.add(found[1])
            else:
                assert "PASSWORD" not in name, f"{name} is written into compose.yaml"
    assert needed == set(example_values()) == {"CLICKHOUSE_PASSWORD", "ANALYST_PASSWORD", "GRAFANA_PASSWORD"}
    assert all(value.startswith("example-only") for value in example_values().values())


def test_roles_can_do_no_more_than_they_need(services: dict[str, dict[str, Any]]) -> None:
    for name in ("migrate", "worker", "archiver", "bridge"):
        role = services[name]
        assert role["read_only"] is True, name
        assert role["cap_drop"] == ["ALL"], name
        assert role["security_opt"] == ["no-new-privileges:true"], name


def test_the_settings_of_the_roles_are_accepted(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.clickhouse_kwargs()["host"] == "clickhouse"
    assert settings.clickhouse_user == services["clickhouse"]["environment"]["CLICKHOUSE_USER"]
    assert settings.kafka_bootstrap == "kafka:9092"


def test_analysts_can_read_the_database_and_nothing_else(services: dict[str, dict[str, Any]]) -> None:
    mounted = [v for v in services["clickhouse"]["volumes"] if "users.d" in v]
    assert mounted == ["./clickhouse/analyst.xml:/etc/clickhouse-server/users.d/analyst.xml:ro"]
    config = ElementTree.parse(DEPLOY / "clickhouse/analyst.xml").getroot()
    user = config.find("users/analyst")
    assert user is not None
    database = Settings.model_fields["clickhouse_database"].default
    assert [query.text for query in user.iterfind("grants/query")] == [f"GRANT SELECT ON {database}.*"]
    assert config.findtext(f"profiles/{user.findtext('profile')}/readonly") == "2"
    password = user.find("password")
    assert password is not None
    assert password.text is None
    assert password.get("from_env") in services["clickhouse"]["environment"]


def test_prometheus_asks_the_roles_where_they_listen(services: dict[str, dict[str, Any]]) -> None:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    for role in ("worker", "archiver", "collect"):
        (discovery,) = jobs[role]["dns_sd_configs"]
        assert discovery["names"] == [role]
        assert services[role]["ports"][0].endswith(f":{discovery['port']}")


@pytest.mark.usefixtures("needs_compose")
def test_compose_itself_accepts_the_file() -> None:
    command = compose_command()
    assert command is not None
    arguments = ["--env-file", str(EXAMPLE), "-f", str(COMPOSE), "config", "--quiet"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
