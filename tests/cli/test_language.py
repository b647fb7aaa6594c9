"""The language of the terminal: `--lang`, else what the terminal asks for; errors as well."""

from __future__ import annotations

import pytest
from whole_system import command

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
