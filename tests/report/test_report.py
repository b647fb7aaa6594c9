"""The report of simulated users with a known fault: it must name the step, the segment and the day."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from migrated import running
from whole_system import command

from pipeline.clickhouse.questions import Store
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.errors import UserError
from pipeline.render.language import Language
from pipeline.report.dates import asked_period
from pipeline.report.gather import gather
from pipeline.report.model import Key, day_period
from pipeline.settings import Settings
from schemas.plan_io import load_plan

pytestmark = pytest.mark.integration

#: `make test-dates` gives a plan of a zone whose clocks change.
PLAN_FILE = os.environ.get("STREAMGAUGE_TEST_PLAN", "shop")
PLAN = load_plan(PLAN_FILE)
#: For what is asked at a given time, whose zone is Shanghai's on every day.
SHOP = load_plan("shop")
#: The day of the run; where midnight passes meanwhile, the day before it, and no test may mind.
TODAY = datetime.now(PLAN.zone).date()
#: The fault begins so many days before the day of the report, which is the last whole one.
REPORTED, BROKEN = TODAY - timedelta(days=1), TODAY - timedelta(days=4)


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("report")) as clickhouse:
        yield clickhouse


def simulated(server: EmbeddedClickHouse, database: str, *faults: str) -> dict[str, str]:
    env = {**server.environment, "PIPELINE_CLICKHOUSE_DATABASE": database, "PIPELINE_PLAN": PLAN_FILE}
    done = command("migrate", env=env)
    assert done.returncode == 0, done.stderr
    given = [argument for fault in faults for argument in ("--fault", fault)]
    arguments = ("simulate", "--days", "28", "--events", "120000", "--seed", "3", "--end", f"{TODAY}T00:00", "--insert")
    done = command(*arguments, *given, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    return env


@pytest.fixture(scope="module")
def broken(server: EmbeddedClickHouse) -> dict[str, str]:
    return simulated(server, "broken", f"step=pay platform=android from={BROKEN}T00:00 factor=0.3")


@pytest.fixture(scope="module")
def sound(server: EmbeddedClickHouse) -> dict[str, str]:
    return simulated(server, "sound")


def made(env: dict[str, str], *arguments: str) -> str:
    done = command("report", *arguments, env=env, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("span", [("--day", str(REPORTED)), ("--week", str(REPORTED))])
def test_the_step_the_segment_and_the_day_are_named(
    broken: dict[str, str], tmp_path: Path, span: tuple[str, str]
) -> None:
    file = tmp_path / "report.html"
    said = made(broken, *span, "-o", str(file))
    day = re.escape(Language("en").day(BROKEN, weekday=True))
    first = said.splitlines()[2]
    assert re.match(
        rf"▼ checkout → pay fell from \d\d\.\d % to \d\d\.\d % on android only \(funnel checkout\), since {day}\.",
        first,
    )
    page = file.read_text("utf-8")
    assert re.search(
        rf"checkout → pay fell from .{{4,8}} to .{{4,8}} on android only \(funnel checkout\), since {day}", page
    )
    assert "Go through checkout → pay by hand on android" in page
    assert re.search(r"android explains \d+ % of the fall", page)
    for name in ("Key figures", "Retention", "Channels", "Campaigns", "Experiments", "Data quality"):
        assert f"<h2>{name}</h2>" in page
    assert "Not in this report" not in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


def test_without_a_fault_no_step_is_accused(sound: dict[str, str], tmp_path: Path) -> None:
    said = made(sound, "--day", str(REPORTED), "-o", str(tmp_path / "report.md"))
    assert "→" not in said
    assert "No step fell surely in the last four weeks." in (tmp_path / "report.md").read_text("utf-8")


async def test_key_figures_are_those_of_each_span_of_days_alone(
    server: EmbeddedClickHouse, sound: dict[str, str]
) -> None:
    period = day_period(REPORTED)
    store = Store(Settings(**server.access, clickhouse_database=sound["PIPELINE_CLICKHOUSE_DATABASE"]))
    try:
        plan = PLAN.model_copy(update={"funnels": {}})  # they are counted by questions of their own
        facts = await gather(store, plan, period, int(datetime.now(UTC).timestamp() * 1000))
        spans = {
            period.first: facts.key,
            period.before.first: facts.before,
            period.same_weekday.first: facts.same_weekday,
        }
        for day, key in spans.items():
            seen = "uniqExact(person), uniqExactIf(session_id, session_id != ''), count() FROM activity"
            paid = (
                "uniqExactIf(order_id, kind = 'payment'), uniqExactIf(person, kind = 'payment'), sum(amount) FROM money"
            )
            alone = [await store.ask(f"SELECT {what} WHERE day = '{day}'") for what in (seen, paid)]
            users, sessions, events, orders, buyers, revenue = (value for answer in alone for value in answer.rows[0])
            came = (await store.ask(f"SELECT count() FROM users WHERE first_day = '{day}'")).rows[0][0]
            assert key == Key(users, came, sessions, events, orders, buyers, float(revenue))
            assert min(users, revenue) > 0
        first_day = (await store.ask("SELECT min(day) FROM activity")).rows[0][0]
        assert facts.since == first_day < period.same_weekday.first
        # By value, now and on the day that it is measured against; and by day.
        for measure, what in (
            ("users", "uniqExact(person) FROM activity WHERE day"),
            ("new_users", "count() FROM users WHERE first_day"),
        ):
            for name in ("platform", "channel", "app_version", "country"):
                for now, day in enumerate((period.reference.first, period.first)):
                    alone_by = await store.ask(f"SELECT toString({name}) AS v, {what} = '{day}' GROUP BY v")
                    counted = facts.segments[measure][name][1 - now]
                    assert {value: amount.total for value, amount in counted.items()} == dict(alone_by.rows)
        daily = await store.ask(
            "SELECT day, a.n, toFloat64(m.amount) FROM (SELECT day, uniqExact(person) AS n FROM activity GROUP BY day) AS a "
            "LEFT JOIN (SELECT day, sum(amount) AS amount FROM money GROUP BY day) AS m ON m.day = a.day "
            f"WHERE day BETWEEN '{period.last - timedelta(days=27)}' AND '{period.last}' ORDER BY day"
        )
        assert list(facts.daily) == daily.rows
        assert len(daily.rows) > 7
    finally:
        await store.close()


@pytest.mark.usefixtures("needs_chromium")
def test_in_chinese_as_pdf(broken: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    found = json.loads(made(broken, "--day", str(REPORTED), "--lang", "zh", "-o", str(file), "--json"))
    assert found["file"] == str(file)
    day = Language("zh").day(BROKEN, weekday=True)
    assert found["headline"][2].startswith(f"▼ {day} 起，仅 android 的 checkout → pay 从 ")
    data = file.read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(data) > 20_000


@pytest.mark.parametrize("plan", ["content", "ecom"])
def test_of_an_empty_database_and_other_plans_it_says_that_there_is_nothing(
    server: EmbeddedClickHouse, tmp_path: Path, plan: str
) -> None:
    env = {
        **server.environment,
        "PIPELINE_CLICKHOUSE_DATABASE": f"empty_{plan}",
        "PIPELINE_PLAN": plan,
    }
    assert command("migrate", env=env).returncode == 0
    made(env, "--week", "last", "-o", str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "There were no events in these days." in page
    assert "Not in this report" not in page


def test_what_a_person_can_mend_is_one_line(broken: dict[str, str], tmp_path: Path) -> None:
    for arguments, said in (
        (("-o", "r.html"), "say which days"),
        (("--day", "2026-13-01", "-o", "r.html"), "2026-13-01 is not a day"),
        (("--day", "yesterday", "-o", "r.doc"), "a report ends in .html, .pdf, .md"),
        (("--day", "yesterday", "--lang", "fr", "-o", "r.html"), "--lang is one of en, zh"),
        (("--day", "yesterday", "-o", str(tmp_path / "no" / "r.html")), "can't be written"),
    ):
        done = command("report", *arguments, env=broken)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert said in done.stderr
    done = command(
        "report", "--day", "yesterday", "-o", "r.html", env={**broken, "PIPELINE_CLICKHOUSE_URL": "http://127.0.0.1:9"}
    )
    assert done.returncode == 3
    assert "http://127.0.0.1:9" in done.stderr


def test_yesterday_and_last_are_of_the_plans_zone() -> None:
    # 2026-11-22T17:00Z is 01:00 of the 23rd in Shanghai, a Monday.
    now = datetime.fromisoformat("2026-11-22T17:00:00+00:00")
    assert asked_period(SHOP, "yesterday", None, now).first == date(2026, 11, 22)
    week = asked_period(SHOP, None, "last", now)
    assert (week.first, week.last) == (date(2026, 11, 16), date(2026, 11, 22))


@pytest.mark.parametrize(("now", "last"), [(f"2026-11-{day}T00:01+08:00", day - 1) for day in range(24, 30)])
def test_of_a_running_week_the_whole_days_are_told_against_the_same_ones(now: str, last: int) -> None:
    week = asked_period(SHOP, None, "2026-11-23", datetime.fromisoformat(now))
    assert (week.first, week.last, week.until) == (date(2026, 11, 23), date(2026, 11, last), None)
    assert (week.before.first, week.before.last) == (date(2026, 11, 16), date(2026, 11, last - 7))
    assert (week.same_weekday.first, week.same_weekday.last) == (date(2026, 10, 26), week.last - timedelta(days=28))
    assert week.asked == date(2026, 11, 29)


def test_of_a_running_day_the_part_that_is_over() -> None:
    day = asked_period(SHOP, "2026-11-25", None, datetime.fromisoformat("2026-11-25T14:30:20+08:00"))
    assert (day.first, day.last, day.until, day.asked) == (
        date(2026, 11, 25), date(2026, 11, 25), time(14, 30), date(2026, 11, 25),
    )  # fmt: skip
    assert (day.before.first, day.before.until) == (date(2026, 11, 24), time(14, 30))
    assert day.last_whole == date(2026, 11, 24)


@pytest.mark.parametrize(("day", "week"), [("2026-11-26", None), (None, "2026-11-30"), ("2026-11-25", None)])
def test_days_of_which_nothing_is_over_are_one_clear_line(day: str | None, week: str | None) -> None:
    with pytest.raises(UserError, match=r"nothing of 2026-11-.. is over yet, in the time zone Asia/Shanghai"):
        asked_period(SHOP, day, week, datetime.fromisoformat("2026-11-25T00:00:30+08:00"))
