"""`verify` finds what differs between the live windows and the raw events, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from migrated import give_back, running, take
from persons.test_answers import Log

from pipeline.archiver.rows import (
    DUPLICATE_COLUMNS,
    EVENT_COLUMNS,
    HANDOVER_COLUMNS,
    LINK_COLUMNS,
    REJECTED_COLUMNS,
    STORED_AT,
    ArchiveBatch,
    with_time,
)
from pipeline.clickhouse.client import Connection
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.errors import UserError
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.partitioner import partitions_of
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.metrics import install
from pipeline.queries.comparison import Difference, Verification
from pipeline.queries.verify import verify
from pipeline.render.language import Language
from pipeline.render.verification import summary
from pipeline.state.partition import PartitionState
from pipeline.worker.publisher import Publisher, decimal
from schemas.plan import Plan
from schemas.plan_io import parse_plan

EN = Language("en")
PLAN = parse_plan(
    """
product: Test
timezone: Asia/Shanghai
lateness: 1h
registration: join
max_values: 2
dimensions: [platform, [event, platform]]
events:
  join: {}
  look: {}
  buy: {value: amount, properties: {amount: number!}}
funnels:
  buying: {steps: [look, buy], window: 5m, bucket: hour, breakdown: [platform]}
  once: {steps: [look, look, buy], window: 1h, modes: [strict_once], attribution: any, breakdown: [platform]}
"""
)
START = 1_790_000_000_000 - 1_790_000_000_000 % 3_600_000
NOW = int(time.time() * 1000)  # of the records: older rows would be removed by their retention


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on its way here: what is missing is missing."""
    monkeypatch.setattr("pipeline.queries.verify.CATCH_UP_SECONDS", 0.0)


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("verify")) as clickhouse:
        yield clickhouse


def event(
    number: int, user: str, name: str, ts: int, platform: str = "ios", session: str = "", amount: float = 19.99
) -> dict[str, Any]:
    fields: dict[str, Any] = {"event_id": f"e{number}", "event": name, "user_id": user, "ts": ts, "platform": platform}
    if session:
        fields["session_id"] = session
    if name == "buy":
        fields["properties"] = {"amount": amount}
    return fields


class System:
    """What worker and archiver would have written for these events, in the given partitions."""

    def __init__(
        self, server: EmbeddedClickHouse, events: list[dict[str, Any]], partitions: int = 2, now: int = START
    ) -> None:
        self.server, self.now = server, now
        actors = [fields.get("user_id") or fields["anonymous_id"] for fields in events]
        homes = partitions_of([actor.encode() for actor in actors], partitions).tolist()
        self.logs: list[list[Record]] = [[] for _ in range(partitions)]
        for fields, home in zip(events, homes, strict=True):
            log = self.logs[home]
            log.append(Record(len(log), NOW, None, json.dumps(fields).encode()))
        self.validator = Validator(PLAN)

    async def __aenter__(self) -> System:
        self.settings = await take(self.server)
        self.connection = Connection(self.settings)
        publisher = Publisher(self.settings, PLAN)
        batch = ArchiveBatch(self.settings.stream)
        for partition, log in enumerate(self.logs):
            if log:
                state = PartitionState(PLAN, self.validator, partition, len(self.logs))
                state.fold(log)
                activity, funnels, row = state.changed_rows(self.now)
                await publisher.publish(activity, funnels, [row])
                batch.add(partition, PartitionClassifier(PLAN, self.validator, partition, len(self.logs)).classify(log))
        await publisher.close()
        at = EVENT_COLUMNS.index("value")
        batch.events[at] = [decimal(micro) for micro in batch.events[at]]
        for table, names, columns in (
            ("events_raw", EVENT_COLUMNS, batch.events),
            ("rejected_raw", REJECTED_COLUMNS, batch.rejected),
            ("duplicates_raw", DUPLICATE_COLUMNS, batch.duplicates),
            ("links_raw", LINK_COLUMNS, batch.links),
            ("handovers_raw", HANDOVER_COLUMNS, batch.handovers),
        ):
            if columns[0]:
                await self.connection.run(
                    lambda client, table=table, names=names, columns=columns: client.insert(
                        table, with_time(columns, NOW), column_names=[*names, STORED_AT], column_oriented=True
                    )
                )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await give_back(self.server, self.settings)

    async def run(self, sql: str) -> None:
        await self.connection.run(lambda client: client.command(sql))

    async def verify(self, plan: Plan = PLAN) -> Verification:
        return await verify(self.settings, plan)


EVENTS = [
    event(1, "u1", "join", START, session="s1"),
    event(2, "u1", "look", START + 1_000, session="s1"),
    event(3, "u1", "buy", START + 61_000, session="s1"),
    event(4, "u2", "look", START + 2_000, "web"),
    event(4, "u2", "look", START + 2_000, "web"),  # sent again
    event(7, "u3", "look", START + 3_000, "tv"),
    event(8, "u3", "nothing", START + 3_000),  # rejected
    event(5, "u2", "look", START + 7_200_000, "web"),
    event(6, "u2", "look", START + 1_000, "web"),  # more than an hour late
]


async def test_an_untouched_system_is_the_same(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS) as system:
        found = await system.verify()
    assert found.differences == []
    assert found.ok
    assert found.records == len(EVENTS)
    assert (found.windows, found.funnels, found.moving) == (40, 12, 0)


async def test_values_beyond_the_bound_of_one_partition_only(server: EmbeddedClickHouse) -> None:
    """`(other)` is a matter of each partition: a value may stand by itself in one and not in another."""
    platforms = ["ios", "web", "tv", "car", "ios", "tv", "web", "car", "car"]
    events = [event(i, f"u{i % 7}", "look", START + i, platform) for i, platform in enumerate(platforms * 5)]
    async with System(server, events, partitions=3) as system:
        assert (await system.verify()).differences == []


async def test_a_session_that_goes_on_under_another_actor(server: EmbeddedClickHouse) -> None:
    """Log-ins in the middle of sessions: the actor changes, and with it the partition."""
    events = [event(2 * i, f"anonymous{i}", "look", START + i, session=f"s{i}") for i in range(200)]
    events += [event(2 * i + 1, f"user{i}", "look", START + i, session=f"s{i}") for i in range(200)]
    async with System(server, events, partitions=4) as system:
        assert (await system.verify()).differences == []


async def test_large_amounts(server: EmbeddedClickHouse) -> None:
    events = [event(i, "u", "buy", START + i, amount=999_999_999.99) for i in range(20)]
    async with System(server, events, partitions=1) as system:
        assert (await system.verify()).differences == []


async def _changed(server: EmbeddedClickHouse, sql: str) -> list[Difference]:
    async with System(server, EVENTS, partitions=1) as system:
        await system.run(sql)
        found = await system.verify()
    assert found.ok == (not found.differences)
    return found.differences


def _again(table: str, changes: str, where: str) -> str:
    """Insert a row again with changed columns and a higher version, which the partition's row has too."""
    return f"INSERT INTO {table} SELECT * REPLACE ({changes}) FROM (SELECT * FROM {table} FINAL WHERE {where})"


async def test_a_wrong_count_is_found(server: EmbeddedClickHouse) -> None:
    where = "grain = 'hour' AND dimension = '' AND events = 5"
    (difference,) = await _changed(server, _again("live_activity_raw", "toUInt64(events + 1) AS events", where))
    assert str(difference) == "events of hour total 2026-09-21T14:00:00Z: live 6, archived 5"


async def test_a_wrong_amount_is_found(server: EmbeddedClickHouse) -> None:
    change = "toDecimal128(20, 6) AS amount"
    (difference,) = await _changed(
        server, _again("live_activity_raw", change, "grain = 'day_utc' AND dimension = '' AND amount > 0")
    )
    assert (difference.measure, difference.live, difference.archived) == ("amount", 20_000_000, 19_990_000)


async def test_wrong_users_are_found_beyond_the_error_of_the_sketch(server: EmbeddedClickHouse) -> None:
    where = "grain = 'day' AND dimension = '' AND events = 5"
    assert await _changed(server, _again("live_activity_raw", "users + 1. AS users", where)) == []
    (difference,) = await _changed(server, _again("live_activity_raw", "users + 5. AS users", where))
    assert (difference.measure, difference.live, difference.archived) == ("users", 8, 3)


async def test_a_wrong_funnel_is_found(server: EmbeddedClickHouse) -> None:
    where = "funnel = 'buying' AND breakdown = 'platform' AND value = 'ios'"
    (difference,) = await _changed(server, _again("live_funnel_raw", "[toUInt64(2), 1] AS users", where))
    assert (
        str(difference)
        == "users by step of funnel buying 2026-09-21T14:00:00Z platform ios: live [2, 1], archived [1, 1]"
    )


async def test_a_wrong_time_between_steps_is_found(server: EmbeddedClickHouse) -> None:
    where = "funnel = 'buying' AND breakdown = 'platform' AND value = 'ios'"
    (difference,) = await _changed(server, _again("live_funnel_raw", "[toUInt64(59000)] AS step_sum_ms", where))
    assert (difference.measure, difference.live[0][:2], difference.archived[0][:2]) == (
        "step times", (1, 59_000), (1, 60_000),
    )  # fmt: skip
    bins = "[map(toInt32(10), toUInt64(1))] AS bins"
    (difference,) = await _changed(server, _again("live_funnel_raw", bins, where))
    assert difference.measure == "step times"


async def test_raw_events_that_are_gone_are_found(server: EmbeddedClickHouse) -> None:
    differences = await _changed(server, "DELETE FROM events_raw WHERE actor = 'u3'")
    assert str(differences[0]) == "accepted records of partition 0: live 6, archived 5"
    assert "events of minute total 2026-09-21T14:00:00Z: live 4, archived 3" in map(str, differences)
    assert "users by step of funnel buying 2026-09-21T14:00:00Z: live [3, 1], archived [2, 1]" in map(str, differences)


async def test_a_window_that_should_be_there_is_missed(server: EmbeddedClickHouse) -> None:
    differences = await _changed(server, "DELETE FROM live_activity_raw WHERE grain = 'hour' AND dimension = ''")
    assert [(d.measure, d.live, d.archived) for d in differences if d.measure == "events"] == [
        ("events", 0, 5), ("events", 0, 1),
    ]  # fmt: skip


async def test_windows_that_still_move_are_left_out(server: EmbeddedClickHouse) -> None:
    """A row that is newer than its partition's row: the worker is between the two."""
    later = "toUInt64(version + 1) AS version, toUInt64(events + 1) AS events"
    async with System(server, EVENTS, partitions=1) as system:
        await system.run(_again("live_activity_raw", later, "grain = 'hour' AND dimension = '' AND events = 5"))
        found = await system.verify()
    assert found.differences == []
    assert found.moving == 1


async def test_minutes_beyond_their_retention_are_left_out(server: EmbeddedClickHouse) -> None:
    """ClickHouse has removed the live rows; the raw events are kept for longer."""
    async with System(server, EVENTS, partitions=1) as system:
        await system.run("DELETE FROM live_activity_raw WHERE grain = 'minute'")
        assert not (await system.verify()).ok
        await _grow_old(system)
        assert (await system.verify()).differences == []


async def test_rejected_records_and_duplicates_beyond_their_retention(server: EmbeddedClickHouse) -> None:
    """They are kept for a shorter time than events: a system that is older than that has fewer of them."""
    async with System(server, EVENTS, partitions=1) as system:
        await system.run("DELETE FROM rejected_raw WHERE 1")
        await system.run("DELETE FROM duplicates_raw WHERE 1")
        assert [d.measure for d in (await system.verify()).differences] == ["rejected records", "duplicate records"]
        await _grow_old(system)
        assert (await system.verify()).differences == []


async def test_what_only_a_later_plan_has_is_named_and_not_compared(server: EmbeddedClickHouse) -> None:
    """Nothing was counted live of the new dimension and the new funnel, nor of the changed one."""
    async with System(server, EVENTS, partitions=1) as system:
        dimensions = [*PLAN.dimensions, ("channel",)]
        added = PLAN.model_copy(
            update={
                "dimensions": tuple(dimensions),
                "funnels": {
                    "buying": PLAN.funnels["buying"].model_copy(update={"window": 600_000}),
                    "once": PLAN.funnels["once"],
                    "joining": PLAN.funnels["buying"].model_copy(update={"breakdown": ()}),
                },
            }
        )
        found = await system.verify(added)
    assert found.differences == []
    assert found.in_one_plan == [
        "the dimension channel is in this plan, but nothing was counted live by it",
        "the funnel buying is in this plan, but was counted live by another definition",
        "the funnel buying by platform is in this plan, but was counted live by another definition",
        "the funnel joining is in this plan, but nobody was counted live in it",
    ]
    assert found.windows == 40
    assert "; the plan has changed: 4 things not compared" in summary(EN, found)


async def test_what_a_later_plan_no_longer_has_is_named(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS, partitions=1) as system:
        fewer = PLAN.model_copy(
            update={"dimensions": PLAN.dimensions[:1], "funnels": {"buying": PLAN.funnels["buying"]}}
        )
        found = await system.verify(fewer)
    assert found.differences == []
    assert found.in_one_plan == [
        "the dimension event,platform is counted live, but is not in this plan",
        "the funnel once is counted live, but is not in this plan",
    ]


async def test_windows_that_were_counted_with_another_bound_of_values_are_named(server: EmbeddedClickHouse) -> None:
    """Four platforms in an hour, of which the worker counted two by themselves; in another hour there were two."""
    platforms = ["ios", "web", "tv", "car"]
    events = [event(i, f"u{i}", "look", START + i, platform) for i, platform in enumerate(platforms)]
    events += [event(10 + i, f"u{i}", "look", START + 86_400_000 + i, platforms[i]) for i in range(2)]
    async with System(server, events, partitions=1) as system:
        assert (await system.verify()).in_one_plan == []
        for bound in (3, 10, 1):
            found = await system.verify(PLAN.model_copy(update={"max_values": bound}))
            assert found.differences == []
            assert found.in_one_plan == [
                f"the dimension {name} was counted live with another max_values (2, not {bound}) in "
                "2026-09-20T16:00:00Z: such windows not"
                for name in ("event,platform", "platform")
            ]
        # What is not bounded otherwise is compared as ever.
        where = "dimension = 'platform' AND grain = 'hour' AND value = ['ios']"
        await system.run(_again("live_activity_raw", "toUInt64(9) AS events", where))
        found = await system.verify(PLAN.model_copy(update={"max_values": 3}))
        assert list(map(str, found.differences)) == [
            "events of hour platform 2026-09-22T14:00:00Z ios: live 9, archived 1"
        ]


async def test_a_dimension_and_a_funnel_that_came_later_are_compared_from_then_on(server: EmbeddedClickHouse) -> None:
    """The worker has counted them since an hour ago: of what was before it has no rows, and of that hour a part."""
    earlier = f"start < fromUnixTimestamp64Milli({START + 3_600_000})"
    async with System(server, LATER, partitions=1) as system:
        hours = "dimension = 'platform' AND grain IN ('minute', 'hour')"
        await system.run(f"DELETE FROM live_activity_raw WHERE {hours} AND {earlier}")
        await system.run(
            _again("live_activity_raw", "toUInt64(1) AS events", "dimension = 'platform' AND grain = 'day'")
        )
        await system.run(f"DELETE FROM live_funnel_raw WHERE funnel = 'buying' AND {earlier}")
        found = await system.verify()
        assert found.differences == []
        assert found.in_one_plan == [
            "the dimension platform is counted live since 2026-09-21T15:00:00Z: not before",
            "the funnel buying is counted live since 2026-09-21T15:00:00Z: not before",
            "the funnel buying by platform is counted live since 2026-09-21T15:00:00Z: not before",
        ]
        # A window after that, which the funnel should have, is still missed.
        await system.run(_again("live_funnel_raw", "[toUInt64(7), 7] AS users", "funnel = 'buying' AND breakdown = ''"))
        assert "users by step of funnel buying 2026-09-21T18:00:00Z: live [7, 7], archived [1, 0]" in map(
            str, (await system.verify()).differences
        )


#: One who looks, at each of five hours.
LATER = [event(100 + hour, f"u{hour}", "look", START + hour * 3_600_000 + 1_000) for hour in range(5)]


async def test_another_products_database_is_one_clear_line(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS, partitions=1) as system:
        await install(system.settings, PLAN)
        assert (await system.verify()).ok
        with pytest.raises(UserError, match=r"has the events of 'Test', not of 'Other': give its plan with --plan"):
            await system.verify(PLAN.model_copy(update={"product": "Other"}))


async def _grow_old(system: System) -> None:
    await system.run(
        "ALTER TABLE events_raw UPDATE stored_at = now64(3) - INTERVAL 31 DAY WHERE 1 SETTINGS mutations_sync = 1"
    )


async def test_wrong_users_of_the_last_minutes_are_found(server: EmbeddedClickHouse) -> None:
    wrong = "active_5m + 5. AS active_5m, updated_at AS watermark"
    (difference,) = await _changed(server, _again("live_partition_raw", wrong, "partition = 0"))
    assert (difference.measure, difference.live, difference.archived) == ("users of active_5m", 8, 3)


async def test_the_last_minutes_are_not_compared_after_a_clock_that_was_ahead(server: EmbeddedClickHouse) -> None:
    """A machine's clock was days ahead for a moment: by the events' times these minutes are over and forgotten."""
    forgotten = "active_5m + 5. AS active_5m, watermark + toIntervalDay(3) AS watermark"
    assert await _changed(server, _again("live_partition_raw", forgotten, "partition = 0")) == []


async def _gap(system: System, role: str, first: int, end: int) -> None:
    await system.run(
        "INSERT INTO gaps_raw (stream, role, partition, first_offset, end_offset, since, noticed_at) "
        f"VALUES ('main', '{role}', 0, {first}, {end}, now64(3), now64(3))"
    )


async def test_a_partition_is_left_out_where_one_role_has_missed_other_records(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS) as system:
        # What the archiver has not read is no fault of what it stored.
        await system.run("ALTER TABLE events_raw DELETE WHERE partition = 0 SETTINGS mutations_sync = 2")
        assert not (await system.verify()).ok
        await _gap(system, "archiver", 2, 9)
        found = await system.verify()
        assert (found.ok, found.left_out) == (
            True,
            {0: "records were gone from Kafka before they were read (worker none; archiver 2 to 8)"},
        )
        assert summary(EN, found).endswith("partition 0 not compared: " + found.left_out[0])
        assert summary(Language("zh"), found).endswith(
            "；分区 0 未核对：记录在读取之前已从 Kafka 清除（worker none；archiver 2 to 8）"
        )


async def test_a_partition_is_compared_where_both_roles_have_missed_the_same(server: EmbeddedClickHouse) -> None:
    async with System(server, EVENTS) as system:
        for role in ("worker", "archiver", "worker"):
            await _gap(system, role, 100, 120)
        found = await system.verify()
        assert (found.ok, found.left_out, found.records) == (True, {}, len(EVENTS))
        await system.run("ALTER TABLE events_raw DELETE WHERE partition = 0 SETTINGS mutations_sync = 2")
        assert not (await system.verify()).ok


DAY = 86_400_000


def logins(after: int) -> list[dict[str, Any]]:
    """Eight visitors look, eight users buy a minute later; so long after that, the visitors log in as those users.

    On four platforms, of which two have places: with the others four visitors and four users were counted.
    """
    looks = [{**event(n, "", "look", START, f"p{n % 4}"), "anonymous_id": f"d{n}"} for n in range(8)]
    buys = [event(10 + n, f"u{n}", "buy", START + 61_000, f"p{n % 4}") for n in range(8)]
    joins = [{**event(20 + n, f"u{n}", "join", START + after), "anonymous_id": f"d{n}"} for n in range(8)]
    return [*looks, *buys, *joins]


async def more_users(system: System, number: int) -> None:
    """Publish so many users more for the first hour."""
    first = f"grain = 'hour' AND dimension = '' AND start < toDateTime({START // 1000 + 3600})"
    await system.run(_again("live_activity_raw", f"users + {number}. AS users", first))


async def first_steps(system: System, first: int, second: int) -> None:
    """Publish so many users at the steps of the cohort."""
    total = "funnel = 'buying' AND breakdown = ''"
    await system.run(_again("live_funnel_raw", f"[toUInt64({first}), {second}] AS users", total))


async def test_a_link_that_came_after_a_window_had_closed_is_no_difference(server: EmbeddedClickHouse) -> None:
    """Live keeps what it said, 16 users and nobody who bought after looking; SQL knows better today."""
    async with System(server, logins(after=3 * DAY), partitions=1, now=START + 3 * DAY) as system:
        users = await system.connection.query(
            "SELECT users, (SELECT uniqExact(person) FROM events WHERE ts < toDateTime({end:Int64})) "
            "FROM live_activity WHERE grain = 'hour' AND dimension = '' ORDER BY start LIMIT 1",
            {"end": START // 1000 + 3600},
        )
        assert [(round(live), stored) for live, stored in users] == [(16, 8)]
        found = await system.verify()
        assert found.differences == []
        assert found.linked_later > 0
        assert f"; {found.linked_later} of them closed before somebody in them was linked" in summary(EN, found)
        await more_users(system, 12)  # eight links don't explain that
        await first_steps(system, 17, 0)
        found = await system.verify()
        assert [(d.measure, d.live, d.archived) for d in found.differences] == [
            ("users", 28, 8), ("users by step", [17, 0], [8, 8]),
        ]  # fmt: skip


async def test_a_link_that_came_in_time_explains_nothing(server: EmbeddedClickHouse) -> None:
    async with System(server, logins(after=120_000), partitions=1) as system:
        found = await system.verify()
        assert (found.differences, found.linked_later) == ([], 0)
        await more_users(system, 8)
        await first_steps(system, 9, 8)
        found = await system.verify()
        assert [(d.measure, d.live, d.archived) for d in found.differences] == [
            ("users", 16, 8), ("users by step", [9, 8], [8, 8]),
        ]  # fmt: skip
        assert found.linked_later == 0


async def test_what_was_over_where_the_user_lives_and_not_where_the_device_does_is_no_difference(
    server: EmbeddedClickHouse,
) -> None:
    """There the device is not counted any more, and here the user not yet: live says nobody, SQL eight."""
    log = Log(PLAN)
    devices = ("d0", "d2", "d3", "d5", "d7", "d8", "d12", "d14")  # of partition 0
    users = ("u5", "u11", "u15", "u16", "u17", "u20", "u21", "u30", "u34")  # of partition 1
    for device in devices:
        log.send("look", START, device=device)
    log.send("look", START + 3 * DAY, user=users[8])
    for device, user in zip(devices, users, strict=False):
        log.send("join", START + 61_000, device=device, user=user)
    assert log.outcomes()["late"] == 8
    assert log.users(START, "hour") == 0
    system = System(server, [], now=START + 3 * DAY)
    system.logs = [[record._replace(timestamp=NOW) for record in each] for each in log.cluster.logs]
    async with system:
        stored = "SELECT uniqExact(person) FROM events WHERE NOT late AND ts < toDateTime({end:Int64})"
        assert await system.connection.query(stored, {"end": START // 1000 + 3600}) == [(8,)]
        found = await system.verify()
    assert found.differences == []
    assert found.linked_later > 0


async def test_what_two_sketches_miss_is_no_difference(server: EmbeddedClickHouse) -> None:
    """Six hundred visitors turn out to be forty users in time: what is left of two estimates of 600 is 35."""
    looks = [{**event(n, "", "look", START), "anonymous_id": f"k{n}"} for n in range(600)]
    joins = [{**event(600 + n, f"u{n % 40}", "join", START + 61_000), "anonymous_id": f"k{n}"} for n in range(600)]
    async with System(server, [*looks, *joins], partitions=1) as system:
        minute = f"grain = 'minute' AND dimension = '' AND start < toDateTime({START // 1000 + 60})"
        ((users,),) = await system.connection.query(f"SELECT users FROM live_activity WHERE {minute}")
        assert round(users) == 35
        assert (await system.verify()).differences == []
