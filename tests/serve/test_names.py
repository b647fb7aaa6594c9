"""The list of metrics and its documentation."""

from __future__ import annotations

from pathlib import Path

from pipeline.serve.names import METRICS, table

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_documented_metrics_are_those_that_exist() -> None:
    assert table() in (DOCS / "prometheus.md").read_text("utf-8")


def test_names_say_their_unit_and_are_given_once() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(metric.name.startswith("streamgauge_") and not metric.name.endswith("_total") for metric in METRICS)
