"""The sentences of the report, word by word, in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from pipeline.insight.contribution import Amount, SegmentChange
from pipeline.insight.model import Drop, FunnelFacts
from pipeline.insight.sentences import sureness, worst
from pipeline.metrics import Table
from pipeline.render.language import Language
from pipeline.report.document import headline, html, sections
from pipeline.report.findings import all_findings, key_finding
from pipeline.report.markdown import markdown
from pipeline.report.model import Facts, Key, Quality, day_period, week_period

EN, ZH = Language("en"), Language("zh")
KEY = Key(users=1000, new_users=100, sessions=1200, events=9000, orders=200, buyers=180, revenue=10_000.0)
CHANGE = Drop(
    "checkout", "checkout", "pay", date(2026, 11, 18), 0.60, 0.47, 3000, 1000, -7.2,
    SegmentChange("platform,app_version", "android / 5.2", 0.61, 0.44, 0.96, 0.30, -5.2, 900, 300), (0.60, 0.59), (("android / 5.1", 0.6),),
)  # fmt: skip


def facts(**changes: object) -> Facts:
    base = Facts(
        "Shop",
        day_period(date(2026, 11, 21)),
        KEY,
        KEY,
        KEY,
        quality=Quality(accepted=5000),
        quality_before=Quality(accepted=5000),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_a_step_that_fell_is_told_with_segment_day_and_what_to_do() -> None:
    funnel = FunnelFacts("checkout", ("checkout", "pay"), (100, 45), (100, 60), changes=(CHANGE,))
    (found,) = all_findings(EN, facts(funnels=(funnel,)))
    assert (
        found.what
        == "checkout → pay fell from 61.0 % to 44.0 % on android 5.2 only (funnel checkout), since Wednesday, Nov 18."
    )
    assert found.why == (
        "android 5.2 explains 96 % of the fall from 60.0 % to 47.0 %, with 30 % of the users (900 before, 300 since). "
        "Everywhere else it went from 60.0 % to 59.0 %."
    )
    assert found.advice == "Compare with android 5.1 (60.0 %), where it holds: roll back or fix."
    assert found.sure == "almost certain: 3,000 users before, 1,000 since"
    (chinese,) = all_findings(ZH, facts(funnels=(funnel,)))
    assert chinese.what == "11月18日 星期三 起，仅 android 5.2 的 checkout → pay 从 61.0% 降到 44.0%（漏斗 checkout）。"
    assert chinese.advice == "与表现正常的 android 5.1 (60.0%) 对比：回滚或修复。"


def test_one_break_in_two_funnels_is_one_finding() -> None:
    other = replace(CHANGE, funnel="buy", following="purchase", z=-6.0)
    funnels = tuple(
        FunnelFacts(c.funnel, ("checkout", "pay"), (100, 45), (100, 60), changes=(c,)) for c in (CHANGE, other)
    )
    (found,) = all_findings(EN, facts(funnels=funnels))
    assert found.why.endswith("The funnel buy shows it too (checkout → purchase).")


def test_of_one_break_the_step_is_named_that_says_most_closely_where_it_is() -> None:
    """Also where another funnel, which takes two of its steps in one, fell a little more surely by chance."""
    fine = replace(CHANGE, titles=("cart", "checkout", "pay", "purchase"))
    coarse = replace(CHANGE, funnel="buy", following="purchase", titles=("cart", "checkout", "purchase"), z=-7.3)
    funnels = tuple(FunnelFacts(c.funnel, c.titles, (100, 45), (100, 60), changes=(c,)) for c in (fine, coarse))
    (found,) = all_findings(EN, facts(funnels=funnels))
    assert found.what.startswith("checkout → pay fell")
    assert found.why.endswith("The funnel buy shows it too (checkout → purchase).")
    # What another funnel takes in as many steps is no closer.
    same = replace(fine, step="pay", following="purchase", z=-7.2)
    one, other = replace(coarse, step="pay"), replace(same, funnel="checkout")
    funnels = tuple(FunnelFacts(c.funnel, c.titles, (100, 45), (100, 60), changes=(c,)) for c in (one, other))
    assert all_findings(EN, facts(funnels=funnels))[0].what.endswith("(funnel buy), since Wednesday, Nov 18.")


def test_a_key_figure_that_fell_is_told_with_the_segment_that_explains_it() -> None:
    then = replace(KEY, orders=300, revenue=15_000.0)
    # Orders of 50 each.
    ads, organic = Amount(6000.0, 300_000.0), Amount(9000.0, 450_000.0)
    fewer = Amount(1000.0, 50_000.0)
    segments = {"revenue": {"channel": ({"ads": fewer, "organic": organic}, {"ads": ads, "organic": organic})}}
    found = key_finding(EN, facts(same_weekday=then, segments=segments), "revenue")
    assert found is not None
    assert found.what == "Revenue fell 33.3 % against Saturday, Nov 14: 15,000 to 10,000."
    assert found.why == (
        "channel ads explains 100 % of it (6,000.00 to 1,000.00; it had 40 % of the whole). Orders −33.3 %, revenue an order +0.0 %."
    )
    assert found.advice == "Look at the spend and the tracking links of ads."
    assert found.sure == "almost certain: 300 orders then, 200 now"
    assert found.bad


def test_a_week_is_measured_against_the_week_before() -> None:
    week = facts(period=week_period(date(2026, 11, 18)), before=replace(KEY, users=1500))
    found = key_finding(EN, week, "users")
    assert found is not None
    assert found.what == "Active users fell 33.3 % against the week before: 1,500 to 1,000."
    assert (week.period.first, week.period.last) == (date(2026, 11, 16), date(2026, 11, 22))


def test_of_a_week_that_is_not_over_it_is_said_what_is_compared() -> None:
    now = int(datetime.fromisoformat("2026-11-25T10:00+01:00").timestamp() * 1000)
    period = week_period(date(2026, 11, 25)).so_far(now, ZoneInfo("Europe/Berlin"))
    assert period is not None
    week = facts(period=period, before=replace(KEY, users=1500))
    found = key_finding(EN, week, "users")
    assert found is not None
    assert found.what == "Active users fell 33.3 % against the same days of the week before: 1,500 to 1,000."
    lines = headline(EN, week)
    assert lines[0] == "Shop: week of Nov 23 – Nov 29, 2026 (so far)"
    assert lines[1].endswith(
        "Not over: the figures are those of Nov 23 – Nov 24, compared with the same days of other weeks."
    )
    assert "Not over: the figures are those of Nov 23" in html(EN, week, "now")
    assert "Not over: the figures are those of Nov 23" in markdown(EN, week, "now")
    assert "尚未结束：数字为 11月23日 – 11月24日" in html(ZH, week, "now")


def test_of_a_day_that_is_not_over_too() -> None:
    now = int(datetime.fromisoformat("2026-11-21T10:30+01:00").timestamp() * 1000)
    period = day_period(date(2026, 11, 21)).so_far(now, ZoneInfo("Europe/Berlin"))
    found = key_finding(EN, facts(period=period, same_weekday=replace(KEY, users=1500)), "users")
    assert found is not None
    assert found.what == "Active users fell 33.3 % against Saturday, Nov 14 up to 10:30: 1,500 to 1,000."


def test_what_chance_explains_or_too_few_are_behind_is_not_told() -> None:
    assert all_findings(EN, facts()) == []
    assert key_finding(EN, facts(same_weekday=replace(KEY, users=1040)), "users") is None
    few = Key(users=10, events=20)
    assert key_finding(EN, facts(key=few, same_weekday=replace(few, users=25)), "users") is None
    assert key_finding(EN, facts(same_weekday=Key()), "users") is None  # no such day yet


def test_days_before_the_first_records_are_compared_with_nothing() -> None:
    """Records from Nov 10 on: the Saturday before, Nov 14, is known, but new then was everybody."""
    then = replace(KEY, users=1500, new_users=1500)
    young = facts(same_weekday=then, since=date(2026, 11, 10))
    assert key_finding(EN, young, "users") is not None
    assert key_finding(EN, young, "new_users") is None
    assert key_finding(EN, replace(young, since=date(2026, 10, 17)), "new_users") is not None
    younger = replace(young, since=date(2026, 11, 15))
    assert key_finding(EN, younger, "users") is None
    said, too = markdown(EN, younger, "now"), markdown(EN, young, "now")
    assert "| Active users | **1,000** | 1,000 | +0.0 % | – | – |" in said
    assert "Records begin on Nov 15: there is nothing before to compare these days with." in said
    assert "| Active users | **1,000** | 1,000 | +0.0 % | 1,500 | −33.3 % |" in too
    assert "| New users | **100** | – | – | – | – |" in too
    assert "Records begin on Nov 10. For some weeks" in too
    assert "数据从 11月10日 开始。" in markdown(ZH, young, "now")


def test_more_rejected_records() -> None:
    now = Quality(900, 0, 0, 100, (("wrong_type", 90, "properties.amount"),))
    (found,) = all_findings(EN, facts(quality=now, quality_before=Quality(995, 0, 0, 5)))
    assert found.what == "10.0 % of all records were rejected (100 of 1,000), against 0.5 % before."
    assert found.why == "Most often: wrong_type (90), such as: properties.amount"


def test_how_sure_in_words() -> None:
    assert [sureness(EN, z) for z in (-4.0, 2.6, 2.0, 1.0)] == [
        "almost certain",
        "very likely",
        "likely",
        "may be chance",
    ]


def test_the_worst_step_is_named_even_if_nothing_changed() -> None:
    funnel = FunnelFacts("f", ("view", "cart", "pay"), (1000, 400, 300), (1000, 400, 300))
    assert worst(EN, funnel) == "Most are lost at view → cart: 40.0 % go on (400 of 1,000)."


def test_a_quiet_day_says_so_and_the_file_needs_no_other() -> None:
    page = html(EN, facts(), "now")
    assert "Nothing changed by more than chance" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in page
    assert "没有超出正常波动且达到 5% 的变化" in html(ZH, facts(), "now")
    assert "There were no events in these days." in html(EN, facts(key=Key()), "now")


def test_markdown_says_the_same_with_tables_and_pictures() -> None:
    funnel = FunnelFacts(
        "checkout", ("checkout", "pay"), (100, 45), (100, 60),
        daily=((date(2026, 11, 20), (100, 60)), (date(2026, 11, 21), (100, 45))), changes=(CHANGE,),
    )  # fmt: skip
    made = markdown(EN, facts(funnels=(funnel,)), "now")
    assert made.startswith("# Shop: Saturday, Nov 21, 2026\n\nMade now.\n\n## What changed\n\n")
    assert "1.  **▼ checkout → pay fell from 61.0 %" in made or "1. **▼ checkout → pay fell from 61.0 %" in made
    assert "| Step | Users | of the step before | the days before | change |\n| --- | --- | --- | --- | --- |\n" in made
    assert "| pay | 45 | 45.0 % | 60.0 % | −15.0 points |" in made
    assert "](data:image/svg+xml;base64," in made


def test_what_happened_stands_in_the_charts_over_days() -> None:
    days = [date(2026, 11, day) for day in (19, 20, 21)]
    funnel = FunnelFacts("checkout", ("checkout", "pay"), (100, 45), (100, 60),
                         daily=tuple((day, (100, 60)) for day in days))  # fmt: skip
    happened = ((days[1], "App 2.4 <b>"), (days[1], "sale"), (date(2026, 11, 1), "long ago"))
    page = html(EN, facts(funnels=(funnel,), daily=tuple((day, 10, 5.0) for day in days), happened=happened), "now")
    assert page.count("App 2.4 &lt;b&gt; · sale") == 4  # one of the charts is there for a narrow and for a wide page
    assert "App 2.4 <b>" not in page
    assert "long ago" not in page


CAMPAIGN = {
    "campaign": "sale", "starts": date(2026, 11, 19), "ends": date(2026, 11, 20), "participants": 900,
    "conversion": 0.2, "revenue": 500.0, "whole": True, "comparison": "others", "compared_users": 900,
    "compared_conversion": 0.1, "extra_revenue": 100.0, "cost": 10.0, "roi": 9.0, "p_value": 0.001,
}  # fmt: skip


def classes(part: str, **changes: object) -> list[tuple[str, str]]:
    """The cells of a part of the report: their classes and their texts."""
    (section,) = sections(EN, facts(**changes), only=part)
    return re.findall(r'<td(?: class="([a-z ]+)")?[^>]*>([^<]*)<', section)


def test_what_is_a_number_stands_on_the_right_and_what_only_begins_with_one_does_not() -> None:
    row = CAMPAIGN | {"campaign": "618"}
    cells = classes("campaigns", campaigns=Table(tuple(row), (), [tuple(row.values())]))
    assert [(how.split()[:1], said) for how, said in cells[:5]] == [
        ([], "618"), (["day"], "Nov 19 – Nov 20"), (["n"], "900"), (["n"], "20.0 %"), (["n"], "500.00"),
    ]  # fmt: skip
    retained = Table(("n", "cohort", "users", "classic_rate"), ("UInt16", "Date", "UInt64", "Nullable(Float64)"),
                     [(1, date(2026, 11, 1), 10, 0.5), (2, date(2026, 11, 1), 10, None)])  # fmt: skip
    assert classes("retention", retention=retained) == [
        ("n", "1"), ("n", "10"), ("n", "50.0 %"), ("n", "2"), ("n", "10"), ("n", "–"),
    ]  # fmt: skip
    brought = Table(("channel", "new_users"), ("String", "UInt64"), [("360", 7)])
    assert classes("channels", channels=brought) == [("", "360"), ("n", "7")]


def test_a_verdict_is_read_as_a_sentence_though_it_begins_with_a_number() -> None:
    sale = Table(tuple(CAMPAIGN), (), [tuple(CAMPAIGN.values())])
    (section,) = sections(EN, facts(campaigns=sale), only="campaigns")
    assert re.search(r'<td class="n"[^>]*>900<', section)
    assert re.search(r'<td(?! class="n)[^>]*>20\.0 % bought, against 10\.0 %', section)
