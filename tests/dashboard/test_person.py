"""The page of one person on a real ClickHouse: whoever is asked for, by which id ever, and nobody else's events."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from metrics.world import PLAN, World, event, link, visit, worlds

from dashboard.drawn import cells, drawn, words
from pipeline.clickhouse.questions import Store
from pipeline.dashboard.pages import person
from pipeline.dashboard.pages.timeline import EVENTS, Did, sessions
from pipeline.errors import UserError
from pipeline.metrics.person import FIND, IDS, export_sql, ids_of

pytestmark = pytest.mark.usefixtures("needs_embedded")
NOW = "2026-11-10T12:00+01:00"
DEVICE = "$device:"


server, opened, world = worlds("module", PLAN)


EVENTS_OF_ANN = [
    visit("phone", "open", "2026-11-01 09:00", session_id="s1", platform="ios", channel="ads"),
    visit("phone", "look", "2026-11-01 09:01", {"item_id": "<b>i1</b>", "category": "shoes"}, session_id="s1"),
    event("ann", "cart", "2026-11-01 09:03", session_id="s1", anonymous_id="phone", platform="ios"),
    event("ann", "buy", "2026-11-01 09:05", {"amount": 20.5, "order_id": "o1"}, session_id="s1"),
    event("ann", "refund", "2026-11-02 10:00", {"amount": -5, "order_id": "o1"}),
    event("ann", "look", "2026-11-04 08:00", {"item_id": "i2"}, late=True),
    visit("laptop", "look", "2026-11-05 20:00", {"item_id": "i3"}, platform="web"),
    visit("laptop", "cart", "2026-11-05 20:10", platform="web"),
    event("bob", "buy", "2026-11-05 20:11", {"amount": 99, "order_id": "o2"}),
]
LINKS_OF_ANN = [link("phone", "ann", "2026-11-01 08:03"), link("laptop", "ann", "2026-11-05 19:30"),
                link("phone", "bob", "2026-11-05 19:40", "refused")]  # fmt: skip


async def test_a_user_or_any_of_their_devices_leads_to_the_person(world: World) -> None:
    await world.tell(EVENTS_OF_ANN, LINKS_OF_ANN)
    for id_ in ("ann", "phone", "laptop", "$device:laptop"):
        html = await drawn(world, NOW, person.found, id=id_)
        assert words(html).startswith("ann user Events as CSV Everything as JSON"), id_
        assert 'href="/download/person.csv?id=ann"' in html
    assert cells(await drawn(world, NOW, person.who, id="phone")) == [
        ["First seen", "Nov 1, 2026 09:00"], ["Last seen", "Nov 5, 2026 20:10 (4 d 15 h ago)"], ["Events", "8"],
        ["Sessions", "1"], ["Days with events", "4"], ["platform", "web"], ["channel", "ads"],
    ]  # fmt: skip
    assert cells(await drawn(world, NOW, person.devices, id="ann")) == [
        ["Id", "Kind", "Theirs since", "Events", "Last seen"],
        ["ann", "user", "–", "4", "Nov 4, 2026 08:00"],
        ["laptop", "device", "login, Nov 5, 2026 20:30", "2", "Nov 5, 2026 20:10"],
        ["phone", "device", "login, Nov 1, 2026 09:03", "2", "Nov 1, 2026 09:01"],
    ]
    assert "Claims that were refused, as it is another user's: phone." in words(
        await drawn(world, NOW, person.devices, id="bob")
    )


async def test_what_they_are_worth_is_what_the_catalogue_says(world: World) -> None:
    await world.tell(EVENTS_OF_ANN, LINKS_OF_ANN)
    assert cells(await drawn(world, NOW, person.value, id="phone")) == [
        ["Orders", "1"], ["Paid", "20.50"], ["Refunded", "-5.00"], ["Lifetime value so far", "15.50"],
        ["Average order", "20.50"], ["First order", "Nov 1, 2026 09:05"], ["Last order", "Nov 1, 2026 09:05"],
    ]  # fmt: skip
    assert await world.ask("user_profile", "orders revenue average_order sessions events", actor="phone", today="2026-11-10") == [
        (1, 15.5, 20.5, 1, 8)
    ]  # fmt: skip


async def test_how_far_they_got_in_a_funnel_and_when(world: World) -> None:
    await world.tell(EVENTS_OF_ANN, LINKS_OF_ANN)
    html = await drawn(world, NOW, person.progress, id="ann", funnel="buying")
    assert words(html).startswith("Furthest: buy (3 of 3), on Sunday, Nov 1. Begun on 2 days.")
    assert cells(html)[1:] == [
        ["Thursday, Nov 5", "2/3", "cart", "cart after 10 min"],
        ["Sunday, Nov 1", "3/3", "buy", "cart after 2 min → buy after 2 min"],
    ]
    assert words(await drawn(world, NOW, person.progress, id="bob", funnel="buying")) == "Never begun."
    chinese = await drawn(world, NOW, person.progress, id="ann", funnel="buying", language="zh")
    assert words(chinese).startswith("最远到达：buy（第 3/3 步），11月1日 星期日。共有 2 天进入。")


async def test_the_timeline_by_session_and_by_pauses(world: World) -> None:
    await world.tell(EVENTS_OF_ANN, LINKS_OF_ANN)
    html = await drawn(world, NOW, person.did, id="laptop")
    heads = [words(found) for found in re.findall(r"<summary>.*?</summary>", html)]
    assert heads == [
        "Thursday, Nov 5 20:00–20:10 2 events · 10 min · web",
        "Wednesday, Nov 4 08:00–08:00 1 events · 0 ms",
        "Monday, Nov 2 10:00–10:00 1 events · 0 ms",
        "Sunday, Nov 1 09:00–09:05 4 events · 5 min",
    ]
    lines = [words(found) for found in re.findall(r"<li>.*?</li>", html)]
    assert lines[0] == "20:10:00 cart"
    assert lines[2] == "08:00:00 look late item_id i2"
    assert lines[4] == "09:05:00 buy amount 20.5 order_id o1"
    assert lines[6] == "09:01:00 look item_id <b>i1</b> category shoes"
    assert "<b>i1" not in html


async def test_a_long_timeline_has_pages(world: World) -> None:
    await world.tell([event("eve", "open", f"2026-11-01 09:{k // 60:02}:{k % 60:02}") for k in range(EVENTS + 5)])
    html = await drawn(world, NOW, person.did, id="eve")
    assert (html.count("<li>"), "page=1" in html, "page=0" in html) == (EVENTS, True, False)
    html = await drawn(world, NOW, person.did, id="eve", page="1")
    assert (html.count("<li>"), "page=2" in html, "page=0" in html) == (5, False, True)
    for odd in ("-1", "x", "9" * 50, "²", ""):
        assert "<li>" in (await drawn(world, NOW, person.did, id="eve", page=odd)) or odd == "9" * 50


def test_sessions_without_ids_are_cut_at_pauses_and_others_never() -> None:
    def did(at: int, session: str = "") -> Did:
        return Did(at, "e", session, "u", late=False, worth=0.0, context={}, is_cut=False, properties={})

    rows = [did(100), did(95, "a"), did(90), did(79), did(50, "a"), did(40, "b")]
    assert [[row.at for row in one] for one in sessions(rows, 10)] == [[100, 90], [95, 50], [79], [40]]


SHARED = [
    visit("pad", "open", "2026-11-01 09:00", offset=0),
    event("ann", "open", "2026-11-01 09:10", offset=1),
    visit("pad", "look", "2026-11-02 09:00", offset=2),
    visit("pad", "look", "2026-11-03 09:00", offset=7),
    visit("pad", "cart", "2026-11-03 09:10", offset=8, stream="other"),
    event("old", "open", "2026-11-03 10:00", offset=9),
    event("ann", "buy", "2026-11-03 11:00", {"amount": 1}, offset=10),
    visit("lone", "open", "2026-11-03 12:00", offset=11),
]
SHARED_LINKS = [link("pad", "ann", offset=1), link("pad", "x9", outcome="shared", offset=5),
                link("old", "ann", kind="alias", offset=2)]  # fmt: skip


async def test_the_events_of_a_person_are_those_that_the_view_says(world: World) -> None:
    """Also of a device that is shared from a record on, of an old id, and of rows that stand there twice."""
    await world.tell(SHARED, SHARED_LINKS)
    rows = [world._row(i, fields) for i, fields in enumerate(SHARED)]
    text = "\n".join(map(json.dumps, rows))
    await world.connection.run(lambda client: client.raw_insert("events_raw", insert_block=text, fmt="JSONEachRow"))
    people = [row[0] for row in await world.sql("SELECT DISTINCT person FROM events ORDER BY person")]
    assert people == ["$device:lone", "$device:pad", "ann"]
    store = Store(world.settings)
    try:
        for one in people:
            ((found, known),) = (await store.ask(FIND, {"id": one})).rows
            assert (found, known) == (one, 1)
            ids = ids_of(one, (await store.ask(IDS, {"person": one})).rows)
            mine = await store.ask(export_sql(PLAN), {**ids.parameters(), "most": 100})
            seen = [(row[0], row[2]) for row in mine.rows]
            all_ = await world.sql(
                f"SELECT stream, offset FROM events WHERE person = '{one}' ORDER BY ts, stream, partition, offset"
            )
            assert seen == all_, one
            assert len(seen) == {"$device:lone": 1, "$device:pad": 1, "ann": 6}[one]
    finally:
        await store.close()


ODD = ["nobody", "it's", "\\", "{id:String}", "a\tb\nc", "%s", "' OR 1=1 --", "𝄞", "x" * 1_001, "$device:", "ANN"]


@pytest.mark.parametrize("odd", ODD)
async def test_an_id_that_nobody_has_is_nobody_and_means_itself(world: World, odd: str) -> None:
    await world.tell(EVENTS_OF_ANN, LINKS_OF_ANN)
    said = words(await drawn(world, NOW, person.found, id=odd))
    assert said.startswith("▲ No event and no link has the id"), said
    with pytest.raises(UserError, match="nobody has the id"):
        await drawn(world, NOW, person.did, id=odd)
    await world.tell([event(odd, "open", "2026-11-01 09:00"), event("other", "open", "2026-11-01 09:00")])
    if len(odd) < 1000:
        assert "1 events" in words(await drawn(world, NOW, person.did, id=odd.strip()))


async def test_ids_that_begin_so_are_shown_instead(world: World) -> None:
    await world.tell(EVENTS_OF_ANN, LINKS_OF_ANN)
    html = await drawn(world, NOW, person.found, id="lap")
    assert '<a href="/person?id=laptop" class="person">' in html


async def test_all_of_it_can_be_taken_along(world: World) -> None:
    await world.tell([*EVENTS_OF_ANN, event("ann", "look", "2026-11-06 09:00", {"item_id": "x"}, referrer="=HYPERLINK(1)")],
                     LINKS_OF_ANN)  # fmt: skip
    made: dict[str, bytes] = {}

    async def take(context: object) -> str:
        for make in (person.events_file, person.everything_file):
            name, _, data = await make(context)  # type: ignore[arg-type]
            made[name] = data
        return ""

    await drawn(world, NOW, take, id="phone")
    rows = list(csv.DictReader(io.StringIO(made["person.csv"].decode("utf-8-sig"))))
    assert [row["event"] for row in rows] == ["open", "look", "cart", "buy", "refund", "look", "look", "cart", "look"]
    assert rows[-1]["referrer"] == "'=HYPERLINK(1)"
    whole = json.loads(made["person.json"])
    assert (whole["person"], sorted(whole["ids"]), len(whole["events"])) == (
        "ann",
        ["$device:laptop", "$device:phone", "ann"],
        9,
    )
    assert whole["value"]["paid"] == "20.500000"


async def test_where_single_people_are_off_nobody_is_shown(world: World) -> None:
    await world.tell(EVENTS_OF_ANN)
    off = {"dashboard_people": False}
    from pipeline.dashboard.metrics import shown
    from pipeline.dashboard.people import search

    async def profile(context: object) -> str:
        return str(await shown(context, "user_profile", {"actor": "ann"}))  # type: ignore[arg-type]

    async def box(context: object) -> str:
        return str(search(context))  # type: ignore[arg-type]

    async def buyers(context: object) -> str:
        return str(await shown(context, "buyers", {"from": "2026-11-01", "to": "2026-11-09"}))  # type: ignore[arg-type]

    assert "this dashboard shows none" in words(await drawn(world, NOW, profile, settings=off))
    assert await drawn(world, NOW, box, settings=off) == "None"
    assert 'href="/person?' not in await drawn(world, NOW, buyers, settings=off)
    assert 'href="/person?id=ann"' in await drawn(world, NOW, buyers)
