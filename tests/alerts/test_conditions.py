"""Each condition, and each way of crying wolf, judged by Prometheus itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from alerts.promtool import NONE, both, check, current, one, plan_with

from pipeline.alerts import rules

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_prometheus")]

DAY, WEEK = 1440, 10_080
PAY = 'streamgauge_minute_events{dimension="event", value="pay"}'
PAY_ON = 'streamgauge_minute_events{{dimension="event,platform", value="pay / {0}"}}'
FEW = "few: {metric: events, event: pay, below: 10, over: 5m, for: 2m, keep: 5m}"


def test_below_a_threshold_for_as_long_as_it_says(tmp_path: Path) -> None:
    plan = plan_with(FEW)
    series = [*current("1x60"), *both(PAY, "20x9 4x50")]  # 8 a minute from minute 10 on
    # The mean of five minutes is below 10 from minute 15 on, and two minutes later that is told.
    told = one("events a minute of pay 8.0 (limit 10)")
    check(tmp_path, plan, series, ("16m", "few", NONE), ("17m", "few", told))


def test_an_alert_ends_when_it_has_been_over_for_a_while(tmp_path: Path) -> None:
    plan = plan_with(FEW)
    series = [*current("1x60"), *both(PAY, "4x20 20x40")]
    # The mean is above 10 from minute 21 on; the value told is the last that was below.
    told = one("events a minute of pay 8.0 (limit 10)")
    check(tmp_path, plan, series, ("20m", "few", told), ("25m", "few", told), ("26m", "few", NONE))


def test_what_flaps_is_one_alert(tmp_path: Path) -> None:
    plan = plan_with("few: {metric: events, event: pay, below: 10, over: 1m, for: 0s, keep: 5m}")
    series = [*current("1x60"), *both(PAY, "4x3 20x2 4x1 20x2 4x1 20x2 4x1 20x30")]
    told = one("events a minute of pay 8.0 (limit 10)")
    # Bad, or good for fewer than five minutes.
    check(tmp_path, plan, series, *[(f"{minute}m", "few", told) for minute in range(1, 16)], ("25m", "few", NONE))


def test_a_restart_of_the_worker_fires_nothing(tmp_path: Path) -> None:
    plan = plan_with(FEW + "\nnone: {metric: events, event: pay, absent: true, over: 5m, for: 0s}")
    # Down from minute 20 on; from 23 on one partition is there and catches up; whole at 24.
    series = [
        {"series": 'streamgauge_partition_current{partition="0"}', "values": "1x19 stale _ _ 1x40"},
        {"series": 'streamgauge_partition_current{partition="1"}', "values": "1x19 stale _ _ 0 1x40"},
        {"series": "streamgauge_partitions", "values": "2x19 stale _ _ 2x41"},
        {"series": PAY.replace("{", '{partition="0", '), "values": "20x19 stale _ _ 20x40"},
        {"series": PAY.replace("{", '{partition="1", '), "values": "20x19 stale _ _ _ 20x40"},
    ]
    minutes, names = (20, 21, 22, 23, 24, 25, 30), ("few", "none", "StreamgaugeNoData")
    check(tmp_path, plan, series, *[(f"{minute}m", name, NONE) for minute in minutes for name in names])


def test_a_restart_loses_no_pending_alert_and_ends_none_that_fires(tmp_path: Path) -> None:
    plan = plan_with("few: {metric: events, event: pay, below: 10, over: 5m, for: 8m, keep: 5m}")
    series = [*current("1x9 stale _ _ 1x60"), *both(PAY, "4x9 stale _ _ 4x60")]
    # Pending since minute 2, away from 10 to 12, told 8 minutes after it began.
    told = one("events a minute of pay 8.0 (limit 10)")
    later = [(f"{minute}m", "few", told) for minute in range(10, 20)]
    check(tmp_path, plan, series, ("9m", "few", NONE), *later)


def test_a_partition_that_moves_counts_once(tmp_path: Path) -> None:
    plan = plan_with("many: {metric: events, event: pay, above: 50, over: 1m, for: 0s}")
    series = [
        *current("1x60"),
        {"series": 'streamgauge_partition_current{partition="1", instance="b"}', "values": "_x10 1x30"},
        *both(PAY, "20x60"),
        # Both workers report partition 1 for some minutes.
        {"series": PAY.replace("{", '{partition="1", instance="b", '), "values": "_x10 20x30"},
    ]
    check(tmp_path, plan, series, *[(f"{minute}m", "many", NONE) for minute in (9, 11, 20)])


def test_no_data_is_an_alert_of_its_own_and_not_a_zero(tmp_path: Path) -> None:
    plan = plan_with("none: {metric: events, event: pay, absent: true, over: 5m, for: 0s}\n" + FEW)
    series = [*current("1x19 stale"), *both(PAY, "20x19 stale")]
    told = one("For 5m there was no moment at which every partition was counted up to now.")
    checks = [(f"{minute}m", name, NONE) for minute in range(20, 40) for name in ("none", "few")]
    check(tmp_path, plan, series, *checks, ("25m", rules.NO_DATA, NONE), ("26m", rules.NO_DATA, told))


def test_one_partition_that_is_not_current_makes_no_smaller_number(tmp_path: Path) -> None:
    plan = plan_with(FEW)
    series = [
        {"series": 'streamgauge_partition_current{partition="0"}', "values": "1x60"},
        {"series": 'streamgauge_partition_current{partition="1"}', "values": "1x19 0x40"},
        {"series": "streamgauge_partitions", "values": "2x60"},
        {"series": PAY.replace("{", '{partition="0", '), "values": "8x60"},
        {"series": PAY.replace("{", '{partition="1", '), "values": "8x19 stale"},
    ]
    check(tmp_path, plan, series, ("40m", "few", NONE))


def test_absence_of_an_event(tmp_path: Path) -> None:
    plan = plan_with("none: {metric: events, event: pay, absent: true, over: 5m, for: 1m}")
    series = [*current("1x60"), *both(PAY, "20x9 0x50")]
    told = one("events a minute of pay: none for 5m")
    check(tmp_path, plan, series, ("15m", "none", NONE), ("16m", "none", told))


def test_absence_where_there_used_to_be_few_is_no_news(tmp_path: Path) -> None:
    plan = plan_with("none: {metric: events, event: pay, absent: true, against: yesterday, over: 20m, for: 0s}")
    told = one("events a minute of pay: none for 20m")
    # Ten in twenty minutes yesterday are enough to miss them, eight are not.
    for each, expected in ((0.25, told), (0.2, NONE)):
        series = [*current(f"1x{DAY // 4 + 30}"), *both(PAY, f"{each}x{DAY // 4} 0x29")]
        check(tmp_path, plan, series, (f"{DAY + 60}m", "none", expected), interval=4)


def test_a_drop_against_yesterday_with_the_segment_that_explains_it(tmp_path: Path) -> None:
    plan = plan_with("drop: {metric: events, event: pay, drop: 30%, against: yesterday, over: 5m, for: 2m}")
    series = [
        *current(f"1x{DAY + 60}"), *both(PAY, f"20x{DAY + 19} 10x40"),
        *both(PAY_ON.format("ios"), f"12x{DAY + 19} 9x40"), *both(PAY_ON.format("android"), f"8x{DAY + 19} 1x40"),
    ]  # fmt: skip
    told = "events a minute of pay 20.0 (at this time yesterday 40.0), mostly platform android"
    check(tmp_path, plan, series, (f"{DAY + 19}m", "drop", NONE), (f"{DAY + 30}m", "drop", one(told)))


def test_without_history_nothing_is_compared(tmp_path: Path) -> None:
    plan = plan_with("drop: {metric: events, event: pay, drop: 30%, against: last_week, over: 5m, for: 0s}")
    series = [*current(f"1x{DAY + 60}"), *both(PAY, f"20x{DAY} 0x59")]
    check(tmp_path, plan, series, (f"{DAY + 30}m", "drop", NONE))


def test_a_drop_of_few_is_no_drop(tmp_path: Path) -> None:
    plan = plan_with(
        "drop: {metric: events, event: pay, drop: 30%, against: yesterday, over: 5m, for: 0s, at_least: 50}"
    )
    series = [*current(f"1x{DAY + 60}"), *both(PAY, f"4x{DAY} 1x59")]  # 40 in five minutes, then 10
    check(tmp_path, plan, series, (f"{DAY + 30}m", "drop", NONE))
    more = [*current(f"1x{DAY + 60}"), *both(PAY, f"5x{DAY} 1x59")]  # 50, then 10
    told = one("events a minute of pay 2.0 (at this time yesterday 10.0)")
    check(tmp_path, plan, more, (f"{DAY + 30}m", "drop", told))


def test_last_week_knows_the_rhythm_of_the_week(tmp_path: Path) -> None:
    alerts = "week: {metric: events, event: pay, drop: 30%, against: last_week, over: 5m, for: 0s}\n"
    plan = plan_with(alerts + "day: {metric: events, event: pay, drop: 30%, against: yesterday, over: 5m, for: 0s}")
    # Two days of a weekend, five days, and Saturday again: half of yesterday, as on every Saturday.
    n = DAY // 4
    series = [*current(f"1x{8 * n}"), *both(PAY, f"20x{2 * n - 1} 40x{5 * n - 1} 20x{n}")]
    told = "events a minute of pay 40.0 (at this time yesterday 80.0)"
    at = f"{7 * DAY + 60}m"
    check(tmp_path, plan, series, (at, "week", NONE), (at, "day", one(told)), interval=4)


def test_a_rise(tmp_path: Path) -> None:
    plan = plan_with("rise: {metric: events, event: pay, rise: 50%, against: yesterday, over: 5m, for: 0s}")
    series = [*current(f"1x{DAY + 60}"), *both(PAY, f"20x{DAY} 31x59")]
    told = "events a minute of pay 62.0 (at this time yesterday 40.0)"
    check(tmp_path, plan, series, (f"{DAY + 30}m", "rise", one(told)))


STEPS = 'streamgauge_funnel_users{{funnel="buying", step="{0}", title="x", breakdown="{1}", value="{2}", bucket="{3}"}}'
BUCKET = 'streamgauge_funnel_bucket_seconds{funnel="buying"}'
CONVERSION = "pays: {metric: conversion, funnel: buying, step: pay, below: 40%, over: 10m, for: 1m, at_least: 100}"


def test_a_step_of_a_funnel_that_few_take(tmp_path: Path) -> None:
    plan = plan_with(CONVERSION)
    series = [
        *current("1x60"), {"series": BUCKET, "values": "0x60"},
        *both(STEPS.format(1, "", "", "current"), "0+10x60"),
        *both(STEPS.format(2, "", "", "current"), "0+5x20 101+1x40"),
        *both(STEPS.format(1, "platform", "ios", "current"), "0+5x60"),
        *both(STEPS.format(2, "platform", "ios", "current"), "0+1x60"),
        *both(STEPS.format(1, "platform", "android", "current"), "0+5x60"),
        *both(STEPS.format(2, "platform", "android", "current"), "0+4x20 80+0x40"),
    ]  # fmt: skip
    check(tmp_path, plan, series, ("20m", "pays", NONE))
    # Ten minutes after: 1 in 10. At the rate of all, android would have had 10 more users, ios lacks none.
    told = "from look to pay 10% (limit 40 %), mostly platform android"
    check(tmp_path, plan, series, ("35m", "pays", one(told)))


def test_few_users_at_a_step_say_nothing(tmp_path: Path) -> None:
    plan = plan_with(CONVERSION)
    series = [
        *current("1x60"), {"series": BUCKET, "values": "0x60"},
        *both(STEPS.format(1, "", "", "current"), "0+4x60"),  # 80 in ten minutes
        *both(STEPS.format(2, "", "", "current"), "0+0x60"),
    ]  # fmt: skip
    check(tmp_path, plan, series, ("40m", "pays", NONE))


def test_a_new_cohort_bucket_is_no_drop(tmp_path: Path) -> None:
    plan = plan_with(CONVERSION)
    series = [
        *current("1x60"), {"series": BUCKET, "values": "0x29 1800x30"},
        # The day ends at minute 30: its counts are those of the day before now, and few people still move on in it.
        *both(STEPS.format(1, "", "", "current"), "0+10x29 0+10x30"),
        *both(STEPS.format(2, "", "", "current"), "0+5x29 0+4x30"),
        *both(STEPS.format(1, "", "", "previous"), "5000x29 300x30"),
        *both(STEPS.format(2, "", "", "previous"), "2500x29 150+1x30"),
    ]  # fmt: skip
    check(tmp_path, plan, series, *[(f"{minute}m", "pays", NONE) for minute in range(29, 46)])
    slower = plan_with(CONVERSION.replace("below: 40%", "below: 55%"))
    check(tmp_path, slower, series, ("36m", "pays", one("from look to pay 50% (limit 55 %)")))


def test_each_value_by_itself(tmp_path: Path) -> None:
    plan = plan_with(
        "few: {metric: events, event: pay, by: platform, drop: 50%, against: yesterday, over: 5m, for: 1m}"
    )
    series = [
        *current(f"1x{DAY + 60}"),
        *both(PAY_ON.format("ios"), f"20x{DAY + 60}"), *both(PAY_ON.format("android"), f"20x{DAY} 4x59"),
    ]  # fmt: skip
    told = "platform android: events a minute of pay 8.0 (at this time yesterday 40.0)"
    check(tmp_path, plan, series, (f"{DAY + 30}m", "few", one(told, segment="android")))
    # A value is a stranger's: its line break fakes no line of a message.
    forged = "android\nAll is well: 1"
    series[-2:] = both(PAY_ON.format(r"android\nAll is well: 1"), f"20x{DAY} 4x59")
    told = told.replace("android", "android All is well: 1", 1)
    check(tmp_path / "forged", plan, series, (f"{DAY + 30}m", "few", one(told, segment=forged)))


def test_unusual_by_median_and_spread_of_the_days_before(tmp_path: Path) -> None:
    plan = plan_with("odd: {metric: events, event: pay, unusual: 5, days: 5, over: 20m, for: 0s}")
    # Five days at about 100 a minute, one of which was a disaster: the median doesn't mind.
    days = " ".join(f"{count}x{DAY // 4 - 1}" for count in (50, 51, 0, 49, 50))
    normal = [*current(f"1x{6 * DAY // 4}"), *both(PAY, f"{days} 47x120")]
    check(tmp_path, plan, normal, (f"{5 * DAY + 60}m", "odd", NONE), interval=4)
    odd = [*current(f"1x{6 * DAY // 4}"), *both(PAY, f"{days} 30x120")]
    told = "events a minute of pay 60.0 (usually at this time 100.0)"
    check(tmp_path, plan, odd, (f"{5 * DAY + 60}m", "odd", one(told)), interval=4)


def test_two_days_are_no_habit(tmp_path: Path) -> None:
    plan = plan_with("odd: {metric: events, event: pay, unusual: 5, days: 5, over: 20m, for: 0s}")
    series = [*current(f"1x{3 * DAY // 4}"), *both(PAY, f"50x{DAY // 2 - 1} 1x60")]
    check(tmp_path, plan, series, (f"{2 * DAY + 60}m", "odd", NONE), interval=4)


def test_rejected_share(tmp_path: Path) -> None:
    plan = plan_with("broken: {metric: rejected_share, above: 5%, over: 10m, for: 0s}")
    series = [
        *current("1x60"),
        *both('streamgauge_records_total{outcome="accepted"}', "1000+90x60"),
        *both('streamgauge_records_total{outcome="rejected"}', "500+1x30 531+10x30"),
    ]
    check(
        tmp_path,
        plan,
        series,
        ("30m", "broken", NONE),
        ("45m", "broken", one("share of rejected records 10% (limit 5 %)")),
    )
    few = [
        *current("1x60"),
        *both('streamgauge_records_total{outcome="accepted"}', "1000+1x60"),
        *both('streamgauge_records_total{outcome="rejected"}', "500+1x60"),
    ]
    check(tmp_path, plan, few, ("45m", "broken", NONE))


def test_a_counter_that_steps_back_after_a_crash_is_no_flood(tmp_path: Path) -> None:
    plan = plan_with("broken: {metric: rejected_share, above: 5%, over: 10m, for: 0s}")
    series = [
        *current("1x20 _ 1x40"),
        *both('streamgauge_records_total{outcome="accepted"}', "100000+90x20 _ 101700+90x40"),
        # rate() would take this for a reset, and 9,000 for new.
        *both('streamgauge_records_total{outcome="rejected"}', "9020+1x20 _ 9000+1x40"),
    ]
    check(tmp_path, plan, series, *[(f"{minute}m", "broken", NONE) for minute in range(20, 45)])


def test_lag_and_freshness(tmp_path: Path) -> None:
    plan = plan_with(
        "late: {metric: lag, above: 2m, for: 1m}\nold: {metric: freshness, above: 30s, for: 1m}\n" + FEW
    )  # fmt: skip
    series = [
        *current("1x9 0x50"),
        *both("streamgauge_lag_seconds", "0x9 60+60x50"),
        *both("streamgauge_freshness_seconds", "1x9 45x50"),
        *both(PAY, "4x9 _x50"),
    ]
    check(tmp_path, plan, series, ("14m", "late", one("behind Kafka by 5m 0s (limit 2m)")))
    check(tmp_path, plan, series, ("14m", "old", one("events are visible after 45s (limit 30s)")))


def test_messages_in_chinese(tmp_path: Path) -> None:
    plan = plan_with(FEW)
    plan = plan.model_copy(update={"alerting": plan.alerting.model_copy(update={"language": "zh"})})
    series = [*current("1x60"), *both(PAY, "4x60")]
    check(tmp_path, plan, series, ("16m", "few", one("pay 的每分钟事件数 8.0（阈值 10）")))


def test_of_three_values_that_fell_alike_none_is_named(tmp_path: Path) -> None:
    plan = plan_with("drop: {metric: events, event: pay, drop: 30%, against: yesterday, over: 5m, for: 2m}")
    series = [
        *current(f"1x{DAY + 60}"), *both(PAY, f"15x{DAY + 19} 6x40"),
        *(s for name in ("ios", "android", "web") for s in both(PAY_ON.format(name), f"5x{DAY + 19} 2x40")),
    ]  # fmt: skip
    told = "events a minute of pay 12.0 (at this time yesterday 30.0)"
    check(tmp_path, plan, series, (f"{DAY + 30}m", "drop", one(told)))
