"""The Kubernetes examples of the dashboard and the report: closed, bounded, and with commands that there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from pipeline import __version__
from pipeline.cli.main import app
from pipeline.dashboard.auth import Auth, set_password
from pipeline.settings import Settings

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy/kubernetes"


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((KUBERNETES / name).read_text("utf-8")))


def pods() -> dict[str, dict[str, Any]]:
    deployment, *_ = documents("dashboard.yaml")
    (job,) = documents("report.yaml")
    return {
        "dashboard": deployment["spec"]["template"]["spec"],
        "report": job["spec"]["jobTemplate"]["spec"]["template"]["spec"],
    }


@pytest.mark.parametrize("name", ["dashboard", "report"])
def test_they_are_bounded_and_can_do_no_more_than_they_need(name: str) -> None:
    pod = pods()[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["image"].rpartition(":")[2] == __version__
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_dashboard_starts_with_these_settings_and_asks_for_a_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (container,) = pods()["dashboard"]["containers"]
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    set_password(tmp_path / "passwords", "ann", "correct horse")
    monkeypatch.setenv("PIPELINE_DASHBOARD_PASSWORD_FILE", str(tmp_path / "passwords"))
    settings = Settings()
    auth = Auth(settings)
    assert not auth.open
    assert auth.user(None, lambda _: None, "10.0.0.1") is None
    assert settings.dashboard_port == container["ports"][0]["containerPort"]
    assert settings.dashboard_clickhouse_user == "analyst"


def test_the_workers_are_found_by_their_labels() -> None:
    *_, service = documents("dashboard.yaml")
    (worker,) = [d for d in documents("worker.yaml") if d["kind"] == "Deployment"]
    labels = worker["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= labels.items()
    (container,) = pods()["dashboard"]["containers"]
    address = next(v["value"] for v in container["env"] if v["name"] == "PIPELINE_DASHBOARD_WORKERS")
    assert address == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"


@pytest.mark.parametrize("name", ["dashboard", "report"])
def test_their_arguments_are_understood(name: str) -> None:
    (container,) = pods()[name]["containers"]
    command, *arguments = container["args"]
    group = get_command(app)
    found = group.commands[command]  # type: ignore[attr-defined]
    found.make_context(command, arguments, resilient_parsing=False).close()
