"""`streamgauge metrics` as a person runs it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metrics.world import PLAN, TEXT, World, event
from pipeline.cli.main import app
from pipeline.errors import UserError
from pipeline.metrics import metrics
from pipeline.metrics.installed import fingerprint

RUN = ["metrics", "run", "active_users_daily", "--from", "2026-11-01", "--to", "2026-11-02"]


@pytest.fixture(scope="session")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(TEXT, "utf-8")
    return path


@pytest.fixture
async def there(world: World, plan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_CLICKHOUSE_URL", world.settings.clickhouse_url)
    monkeypatch.setenv("PIPELINE_CLICKHOUSE_PASSWORD", world.settings.clickhouse_password.get_secret_value())
    monkeypatch.setenv("PIPELINE_CLICKHOUSE_DATABASE", world.settings.clickhouse_database)
    monkeypatch.setenv("PIPELINE_PLAN", str(plan_file))
    await world.tell([event("a", "open", "2026-11-01 10:00"), event("a", "look", "2026-11-01 10:01")])


def run(*words: str) -> bytes:
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0
    return result.stdout_bytes


def test_list_has_every_metric_and_show_its_sql() -> None:
    listed = run("metrics", "list").decode()
    assert all(f"  {name} " in listed for name in metrics())
    shown = run("metrics", "show", "active_users_daily").decode()
    assert "--from Date, default today - 29: first day, inclusive" in shown
    assert "uniqExact(person) AS users" in shown
    assert json.loads(run("metrics", "show", "active_users_daily", "--json"))["group"] == "activity"


def test_in_chinese_the_catalogue_is_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = run("metrics", "list", "--lang", "zh").decode()
    assert listed.splitlines()[:2] == ["活跃", f"  {'active_days_distribution':<28} 活跃天数分布（核心用户曲线）"]
    shown = run("metrics", "show", "churn", "--lang=zh").decode().splitlines()
    assert shown[0] == "churn: 流失率"
    assert shown[2:6] == [
        "定义        上一周期（日/周/月）活跃而本周期未活跃的用户比例。",
        "公式        churn_rate = 上一周期活跃而本周期未活跃的用户数 / 上一周期活跃用户数",
        "粒度        每个周期一行，前一周期须有用户",
        "常见误区    截至 `to` 尚未结束的周期（whole = 0）不给结果（NULL）：没来的人还可能来。"
        "一周的流失不是最终流失：之后回来的人当时也算了流失（回流见 user_lifecycle）。",
    ]
    assert "参数        --from Date，默认 today - 89：起始日期（含）" in shown
    assert json.loads(run("metrics", "show", "churn", "--json", "--lang", "zh"))["title"] == "流失率"
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert run("metrics", "list").decode().startswith("活跃\n")
    assert run("metrics", "list", "--lang", "en").decode().startswith("Activity\n")
    with pytest.raises(UserError, match="--lang is one of en, zh, not xx"):
        run("metrics", "list", "--lang", "xx")


@pytest.mark.usefixtures("there")
def test_run_in_each_format(tmp_path: Path) -> None:
    """`CliRunner` is not on an event loop of its own: the command starts one."""
    table = run(*RUN).decode().splitlines()
    where = f"{os.environ['PIPELINE_CLICKHOUSE_DATABASE']} at {os.environ['PIPELINE_CLICKHOUSE_URL']}"
    assert table[-1].startswith(f"from {where}")
    assert [line.split() for line in table if line.startswith((" 2026", "  2026"))] == [
        ["2026-11-01", "1", "2", "2"], ["2026-11-02", "0", "0", "-"],
    ]  # fmt: skip
    assert run(*RUN, "--format", "csv").decode().splitlines() == [
        '"day","users","events","events_per_user"', '"2026-11-01",1,2,2', '"2026-11-02",0,0,\\N',
    ]  # fmt: skip
    chinese = run(*RUN, "--lang", "zh").decode()
    assert ("日活跃用户（DAU）" in chinese, "人均事件数" in chinese) == (True, True)
    assert f"数据来源：{where}" in chinese
    assert json.loads(run(*RUN, "--format=json")) == [
        {"day": "2026-11-01", "users": 1, "events": 2, "events_per_user": 2},
        {"day": "2026-11-02", "users": 0, "events": 0, "events_per_user": None},
    ]
    assert len(json.loads(run(*RUN, "--format=json", "--rows=1"))) == 1
    parquet, png = tmp_path / "a.parquet", tmp_path / "a.png"
    run(*RUN, "--format", "parquet", "--out", str(parquet))
    assert parquet.read_bytes()[:4] == parquet.read_bytes()[-4:] == b"PAR1"
    run(*RUN, "--format", "png", "--out", str(png))
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("there")
async def test_a_strangers_words_command_neither_a_spreadsheet_nor_a_terminal(world: World) -> None:
    """As CSV a formula is text; in a table an escape is shown, and a row is one line of a pipe, however long it is."""
    formula, escape, long = '=HYPERLINK("http://x","y")', "\x1b]0;t\x07\nios", "w" * 300
    await world.tell([event(name, "open", "2026-11-01 10:00", platform=name) for name in (formula, escape, long)])
    asked = ["metrics", "run", "active_users_by", "--dimension", "platform", "--from", "2026-11-01", "--to"]

    def shown(*words: str) -> str:
        return run(*asked, "2026-11-01", *words).decode()

    written = list(csv.reader(io.StringIO(await asyncio.to_thread(shown, "--format", "csv"), newline="")))
    assert {row[0] for row in written[1:]} == {f"'{formula}", escape, long}
    table = await asyncio.to_thread(shown)
    lines = [line.split() for line in table.splitlines()]
    assert [formula, "1"] in [line[:2] for line in lines]
    assert [r"\x1b]0;t\x07\nios", "1"] in [line[:2] for line in lines]
    assert [long, "1"] in [line[:2] for line in lines]
    found = json.loads(await asyncio.to_thread(shown, "--format", "json"))
    assert escape in {row["value"] for row in found}


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("active_user",), "there is no metric active_user: did you mean active_users"),
        (
            ("active_users_daily", "--form", "2026-11-01"),
            "active_users_daily has no parameter form: did you mean from?",
        ),
        (("active_users_daily", "--from", "yesterday"), "active_users_daily: from is a day like 2026-11-30"),
        (("active_users_daily", "--from"), "--from needs a value"),
        (("active_users_daily", "2026-11-01"), "2026-11-01: a parameter is given as --name value"),
        (("active_users_daily", "--format", "xlsx"), "--format is one of table, csv, json, parquet, png, not xlsx"),
    ],
)
def test_mistakes_are_one_line(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as raised:
        run("metrics", "run", *words)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("there")
def test_another_plans_views_do_not_answer(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear line names both plans, and where it was asked; a new event alone is no other plan."""
    where = f"{world.settings.clickhouse_database} at {world.settings.clickhouse_url}"

    def told(text: str) -> str:
        (tmp_path / "plan.yaml").write_text(text, "utf-8")
        with pytest.raises(UserError) as raised:
            run(*RUN, "--plan", str(tmp_path / "plan.yaml"))
        return str(raised.value)

    assert told("{product: Other, events: {open: null}}") == (
        f"the metrics in {where} are those of the plan 'Test', not of 'Other': "
        "give its plan with --plan (or PIPELINE_PLAN), or another ClickHouse or database"
    )
    assert told("{product: Test, timezone: Asia/Tokyo, events: {open: null}}").startswith(
        f"the metrics in {where} were made of another version of the plan 'Test': run `streamgauge migrate`"
    )
    added = PLAN.model_copy(update={"events": {**PLAN.events, "new": PLAN.events["open"]}, "description": "later"})
    assert fingerprint(added) == fingerprint(PLAN)
    monkeypatch.setenv("PIPELINE_CLICKHOUSE_DATABASE", "default")
    with pytest.raises(UserError, match=r"has no metrics, or those of an older version: run `streamgauge migrate`"):
        run(*RUN)
