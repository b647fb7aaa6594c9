"""Nothing in deploy/ sets a setting that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.settings import Settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"


def test_every_pipeline_variable_is_a_setting() -> None:
    # PIPELINE_CONFIG names the settings file and is no setting itself.
    known = {f"PIPELINE_{name.upper()}" for name in Settings.model_fields} | {"PIPELINE_CONFIG"}
    found = {
        (path.name, variable)
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for variable in re.findall(r"PIPELINE_[A-Z0-9_]+", path.read_text("utf-8"))
    }
    assert {variable for _, variable in found} >= {"PIPELINE_METRICS_PORT", "PIPELINE_CLICKHOUSE_PASSWORD"}
    assert {(name, variable) for name, variable in found if variable not in known} == set()
