"""The language of the terminal: `--lang`, else what the terminal asks for; errors as well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest
from whole_system import command

from pipeline.alerts.texts import describe
from pipeline.cli.plan_text import show
from pipeline.render.language import Language
from schemas.plan_io import parse_plan

PLAN: Final = parse_plan(
    """\
product: x
events: {a: {}, b: {}}
funnels: {f: {steps: [a, b], window: 30m}}
alerting:
  alerts:
    many: {metric: events, above: 5}
    fewer: {metric: users, drop: 40%, against: yesterday}
    silence: {metric: events, absent: true}
"""
)
CHINESE = {"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": "utf-8"}
NO_METRIC = "没有指标 churm：是不是想写 churn？用 `streamgauge metrics list` 查看全部指标"


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["metrics", "show", "churm"], CHINESE, NO_METRIC),
        (["metrics", "show", "churm", "--lang", "zh"], {}, NO_METRIC),
        (["metrics", "list", "--lang", "xx"], CHINESE, "--lang 只能是 en, zh 之一，不能是 xx"),
        (["report", "-o", "a.html"], CHINESE, "请指定日期：--day 日期（或 yesterday），或 --week 日期（或 last）"),
        (["report", "--day", "21.11.", "-o", "a.html"], CHINESE, "21.11. 不是日期：请写成 2026-11-21 的形式"),
        (["demo", "--for", "soon"], CHINESE, "--for：'soon' 不是时长：请写成 30s、15m、1h30m 或 7d"),
        (
            ["kept", "export", "a.yaml"],
            CHINESE,
            "请用 PIPELINE_KEPT 指定收藏文件，或用 --data 指定 `up` 的目录",
        ),
        (
            ["verify"],
            {**CHINESE, "PIPELINE_KAFKA_BOOTSTRAB": "x"},
            "没有设置项 PIPELINE_KAFKA_BOOTSTRAB：是不是想写 PIPELINE_KAFKA_BOOTSTRAP？",
        ),
        (
            ["metrics", "show", "churm", "--lang", "en"],
            CHINESE,
            "there is no metric churm: did you mean churn?; `streamgauge metrics list` shows all",
        ),
    ],
)
def test_a_mistake_is_said_in_the_language_of_the_terminal(
    words: list[str], environment: dict[str, str], said: str
) -> None:
    done = command(*words, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"streamgauge: {said}\n")


def test_what_is_printed_is_said_in_the_language_of_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "sources.json"
    file.write_text('{"sources": []}')
    done = command("sources", "list", "--file", str(file), env=CHINESE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{file} 中没有数据源：请用 `streamgauge sources add 名称` 添加\n"


def test_a_plan_is_shown_in_the_language_of_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    show(PLAN, as_json=False)
    printed = capsys.readouterr().out
    assert "时区 UTC，允许迟到时长 1h，去重时长 1h，未知事件：reject，未知属性：keep\n" in printed
    assert "漏斗 f: a → b\n  转化窗口 30m，按 user 计，时间粒度 day" in printed


def test_the_conditions_of_alerts() -> None:
    assert [(describe(one), describe(one, Language("zh"))) for one in PLAN.alerting.alerts.values()] == [
        ("above 5", "高于 5"),
        ("drop of 40 % against yesterday", "较昨天下降 40%"),
        ("none for 5m", "5m 内没有"),
    ]


def test_a_log_is_in_english_whoever_starts_what_writes_it() -> None:
    place = ("up", "--broker", "memory", "--data", "/dev/null/x")
    log = command(*place, "--log-format", "json", env=CHINESE).stderr.splitlines()
    assert json.loads(log[-1])["message"] == "/dev/null/x/kafka/log/meta.properties can't be used: Not a directory"
    said = command(*place, env=CHINESE).stderr.splitlines()
    assert said == ["streamgauge: /dev/null/x/kafka/log/meta.properties 无法使用：路径中有一级不是目录"]
