"""`streamgauge alerts render` and `check`: files for Prometheus and Alertmanager, judged by their own tools."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.alerts import manager, rules
from pipeline.errors import UserError
from schemas.plan import Plan
from schemas.translatable import Foreign, Sentence

RULES_FILE: Final = "streamgauge.rules.yml"
MANAGER_FILE: Final = "alertmanager.yml"
HOW_TO_GET_THEM: Final = Sentence("apt-get install prometheus prometheus-alertmanager, or prometheus.io/download")


def render(plan: Plan, folder: Path, bridge: str = manager.BRIDGE, interval: int = rules.INTERVAL) -> list[Path]:
    """Write both files into `folder`; returns their paths. The second is for its owner only: it may hold a secret."""
    texts = {RULES_FILE: rules.text(plan, interval), MANAGER_FILE: manager.text(plan, bridge)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            mode = 0o600 if name == MANAGER_FILE and "api_secret:" in text else 0o644
            with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", -1, "utf-8") as f:
                os.fchmod(f.fileno(), mode)
                f.write(text)
    except OSError as exc:
        raise UserError("{path} can't be written: {why}", path=folder, why=Foreign(exc.strerror)) from None
    return [folder / name for name in texts]


def require(tool: str) -> None:
    """Raise UserError unless a program is installed."""
    if shutil.which(tool) is None:
        raise UserError("{tool} is not installed: {how}", tool=tool, how=HOW_TO_GET_THEM)


class Verdict(NamedTuple):
    """What a tool says of a file. `ok` is None if the tool is not there."""

    file: str
    tool: str
    ok: bool | None
    says: str


def check(plan: Plan) -> Iterator[Verdict]:
    """Render, and let promtool and amtool judge what comes out."""
    with tempfile.TemporaryDirectory(prefix="streamgauge-alerts-") as folder:
        render(plan, Path(folder))
        for file, tool, arguments in (
            (RULES_FILE, "promtool", ["check", "rules"]),
            (MANAGER_FILE, "amtool", ["check-config"]),
        ):
            if shutil.which(tool) is None:
                why = Sentence("not checked: {tool} is not installed ({how})", tool=tool, how=HOW_TO_GET_THEM)
                yield Verdict(file, tool, None, why)
                continue
            done = subprocess.run(
                [tool, *arguments, file], cwd=folder, capture_output=True, text=True, check=False, timeout=60
            )
            yield Verdict(file, tool, done.returncode == 0, (done.stdout + done.stderr).strip())
