"""The Kubernetes examples: probes, stopping, limits and the settings they use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import __version__
from pipeline.process import STOP_SECONDS
from pipeline.settings import Settings

KUBERNETES = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
ROLES = ("worker", "archiver", "collect")


def documents(name: str) -> dict[str, dict[str, Any]]:
    """The objects of a file by kind."""
    return {item["kind"]: item for item in yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))}


def pod_of(role: str) -> dict[str, Any]:
    pod: dict[str, Any] = documents(f"{role}.yaml")["Deployment"]["spec"]["template"]["spec"]
    return pod


@pytest.mark.parametrize("role", ROLES)
def test_one_pod_goes_at_a_time(role: str) -> None:
    found = documents(f"{role}.yaml")
    deployment, budget = found["Deployment"], found["PodDisruptionBudget"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"] == {"maxUnavailable": 1, "selector": {"matchLabels": labels}}
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_has_longer_to_stop_than_the_role_takes(role: str) -> None:
    assert pod_of(role)["terminationGracePeriodSeconds"] >= STOP_SECONDS + 10


@pytest.mark.parametrize("role", ROLES)
def test_health_decides_about_readiness_and_never_about_life(role: str) -> None:
    (container,) = pod_of(role)["containers"]
    assert container["args"] == [role]
    assert container["startupProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/health", "port": "metrics"}
    # With /health here, Kafka being away would end every pod.
    assert container["livenessProbe"]["httpGet"] == {"path": "/metrics", "port": "metrics"}
    assert container["ports"] == [{"name": "metrics", "containerPort": 9600}]


@pytest.mark.parametrize("role", ROLES)
def test_pods_are_bounded_and_can_do_no_more_than_they_need(role: str) -> None:
    pod = pod_of(role)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    (migrate,) = pod["initContainers"]
    assert migrate["args"] == ["migrate"]
    for container in (migrate, *pod["containers"]):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["image"].rpartition(":")[2] == __version__


def test_the_settings_are_accepted_and_hold_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    found = documents("settings.yaml")
    assert set(found) == {"ConfigMap"}  # the secret is made by whoever runs it
    for name, value in found["ConfigMap"]["data"].items():
        assert "PASSWORD" not in name
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.partitions, settings.replication) == (32, 3)
    name = found["ConfigMap"]["metadata"]["name"]
    for role in ROLES:
        for container in (*pod_of(role)["initContainers"], *pod_of(role)["containers"]):
            assert container["envFrom"] == [{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]
