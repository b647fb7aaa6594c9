"""`--help` and mistakes in the arguments, in the language of the terminal: every command, every option."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Final

import pytest
from help_texts import contexts
from whole_system import ROOT, command

from pipeline.cli.help import show_help
from pipeline.render.language import Language

CHINESE: Final = {"LC_ALL": "zh_CN.UTF-8", "PYTHONIOENCODING": "utf-8"}
LIST_HELP: Final = """\
用法：streamgauge rejected list [选项]

  记录被拒的原因、数量和样例。

选项
  --samples <整数>  每种原因显示的记录数（默认 2；0<=x<=100）
  --config <路径>   设置文件（TOML）；默认用环境变量 PIPELINE_*
  --json            以 JSON 输出结果
  -h, --help        显示帮助

"""


def test_every_command_and_every_option_is_explained_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    t, seen = Language("zh"), 0
    for context in contexts():
        show_help(context, t)
        for line in filter(None, map(str.strip, capsys.readouterr().out.splitlines())):
            assert re.search("[\u4e00-\u9fff]", line), (context.command_path, line)
            # Names and values follow each other with commas; JSON Schema and Model Context Protocol are names.
            assert not re.search(r"(?:[A-Za-z']{2,} ){3}[A-Za-z']{2,}", line), (context.command_path, line)
            seen += 1
    assert seen > 250


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["rejected", "list", "--help"], CHINESE),
        (["rejected", "list", "-h"], {"LC_ALL": "", "LC_MESSAGES": "zh_TW", "PYTHONIOENCODING": "utf-8"}),
    ],
)
def test_help_is_said_in_the_language_of_the_terminal(words: list[str], environment: dict[str, str]) -> None:
    done = command(*words, env=environment)
    said = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
    assert (done.returncode, said, done.stderr) == (0, LIST_HELP, "")


@pytest.mark.parametrize(
    ("words", "environment", "begins"),
    [
        (
            ["metrics", "list", "--lang", "zh", "--help"],
            {"LC_ALL": "C.UTF-8"},
            "用法：streamgauge metrics list [选项]\n",
        ),
        (["metrics", "list", "--help", "--lang=zh"], {"LC_ALL": "C.UTF-8"}, "用法：streamgauge metrics list [选项]\n"),
        (["metrics", "list", "--lang", "en", "--help"], CHINESE, "Usage: streamgauge metrics list [OPTIONS]"),
        (["metrics", "list", "--help"], {"LC_ALL": "C.UTF-8"}, "Usage: streamgauge metrics list [OPTIONS]"),
    ],
)
def test_help_is_said_in_the_language_that_is_asked_for(
    words: list[str], environment: dict[str, str], begins: str
) -> None:
    done = command(*words, env={"PYTHONIOENCODING": "utf-8", **environment})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().startswith(begins.strip())


def test_a_group_without_a_command_shows_its_help() -> None:
    done = command("rejected", env=CHINESE)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith(
        "用法：streamgauge rejected [选项] 命令 [参数]...\n\n  被拒的记录：查看、重新投递。\n"
    )
    assert "\n  redrive  重新投递现在已符合方案的被拒记录，每条只投递一次。\n" in done.stdout


@pytest.mark.parametrize(
    ("words", "usage", "said"),
    [
        (["report"], "report [选项]", "缺少选项 '-o' / '--output'"),
        (["plan", "check"], "plan check [选项] {file}", "缺少参数 'file'"),
        (["verify", "--lan", "zh"], "verify [选项]", "没有选项 --lan：是不是想写 --lang, --plan？"),
        (["verify", "-x"], "verify [选项]", "没有选项 -x"),
        (["verify", "a", "b"], "verify [选项]", "多余的参数：a b"),
        (["verfy"], "[选项] 命令 [参数]...", "没有命令 'verfy'：是不是想写 'verify'？"),
        (["123"], "[选项] 命令 [参数]...", "没有命令 '123'"),
        (["demo", "--rate", "x"], "demo [选项]", "'--rate' 的值有误：应为数字"),
        (["demo", "--rate", "0"], "demo [选项]", "'--rate' 的值有误：不能小于 0.1"),
        (["up", "--broker", "x"], "up [选项]", "'--broker' 的值有误：只能是 'auto', 'kafka', 'memory' 之一，不能是 'x'"),  # noqa: E501
        # Of these two Typer does not say whose option it is.
        (["verify", "--json=3"], None, "选项 '--json' 不带值"),
        (["verify", "--plan"], None, "选项 '--plan' 缺少值"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_arguments_is_said_in_chinese(words: list[str], usage: str | None, said: str) -> None:
    done = command(*words, env=CHINESE)
    expected = [f"streamgauge: {said}"]
    if usage is not None:
        path = " ".join(["streamgauge", *usage.partition("[选项]")[0].split()])
        expected = [f"用法：streamgauge {usage}", *expected, f"详见 `{path} --help`。"]
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (2, "", expected)


@pytest.mark.integration
def test_a_password_is_asked_for_in_chinese() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pipeline.cli", "dashboard", "--set-password", "ann"], cwd="/proc",
        input="a long password\nanother password\n" + "a long password\n" * 2, capture_output=True, text=True,
        timeout=60, start_new_session=True, encoding="utf-8",
        env={**CHINESE, "PIPELINE_DASHBOARD_PASSWORD_FILE": "/dev/null/pw", "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    asked = "ann 的密码再次输入以确认"
    assert done.stdout == f"{asked}两次输入不一致，请重新输入。\n{asked}"
    assert done.stderr.splitlines()[-1] == "streamgauge: /dev/null/pw 无法使用：路径中有一级不是目录"
