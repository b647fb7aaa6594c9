"""The funnels of a plan over batches: the counters and entries that each event by itself would have made."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.measure.funnel import Event as StepEvent
from pipeline.measure.funnel import FunnelSpec, contributions
from pipeline.measure.funnel_counts import FunnelCounters
from pipeline.measure.funnels import Funnels
from pipeline.measure.windows import bounds
from schemas.event import Event
from schemas.plan_io import parse_plan

PLAN = parse_plan(
    """
product: Test
lateness: 1h
dedupe: 1h
events: {look: {}, buy: {}, leave: {}}
funnels:
  buying: {steps: [look, buy], window: 5m, bucket: hour, breakdown: [platform, channel]}
  on_ios: {steps: [{event: look, where: {platform: ios}}, buy], window: 1m, bucket: hour, modes: [strict_order]}
  twice:
    steps: [look, {event: look, where: {platform: ios}}, {event: buy, where: {channel: ads}}]
    window: 5m
    bucket: hour
    breakdown: [platform]
    attribution: last
    exclude: [{event: leave, where: {platform: ios}}]
  session: {steps: [look, buy], window: 5m, bucket: hour, per: session, breakdown: [platform], attribution: any}
"""
)
START = 1_790_002_400_000  # the hour ends 400 s later


def is_ios(event: Event) -> bool:
    return event.platform == "ios"


#: Of each funnel: its steps and exclusions, as what they ask of an event.
STEPS: dict[str, list[Callable[[Event], bool]]] = {
    "buying": [lambda e: e.name == "look", lambda e: e.name == "buy"],
    "on_ios": [lambda e: e.name == "look" and is_ios(e), lambda e: e.name == "buy"],
    "twice": [
        lambda e: e.name == "look",
        lambda e: e.name == "look" and is_ios(e),
        lambda e: e.name == "buy" and e.channel == "ads",
        lambda e: e.name == "leave" and is_ios(e),
    ],
    "session": [lambda e: e.name == "look", lambda e: e.name == "buy"],
}


@st.composite
def logs(draw: st.DrawFn) -> list[list[Event]]:
    """Batches of few actors' events."""
    made = [
        Event(
            f"e{n}",
            name,
            START + 20_000 * ts,
            session_id=session or None,
            platform=platform,
            channel=channel,
            actor=actor,
        )
        for n, (name, ts, session, platform, channel, actor) in enumerate(
            draw(
                st.lists(
                    st.tuples(
                        st.sampled_from(["look", "look", "buy", "leave"]),
                        st.integers(0, 40),
                        st.sampled_from(["", "s", "t"]),
                        st.sampled_from(["ios", "web"]),
                        st.sampled_from(["ads", "mail"]),
                        st.sampled_from("abcd"),
                    ),
                    max_size=24,
                )
            )
        )
    ]
    if draw(st.booleans()):
        made.sort(key=lambda event: event.ts)
    batches = []
    while made:
        size = draw(st.sampled_from([1, 2, 3, 8]))
        batches.append(made[:size])
        made = made[size:]
    return batches


def folded(batches: list[list[Event]]) -> Funnels:
    funnels, version, watermark = Funnels(PLAN), 0, 0
    for batch in batches:
        version += len(batch)
        changed = funnels.fold(batch, version, watermark)
        assert {key for key, data in funnels.dump(None) if int.from_bytes(data[:8], "big") == version} == changed
        watermark = max([watermark, *[event.ts for event in batch]])
    return funnels


def expected(batches: list[list[Event]], name: str, breakdown: str) -> FunnelCounters:
    """The counters by what each actor (or session) has done in all."""
    funnel = PLAN.funnels[name]
    steps, modes = len(funnel.steps), frozenset(funnel.modes)
    spec = FunnelSpec(steps, funnel.window, lambda ts: bounds("hour", ts, PLAN.zone), modes, funnel.attribution)
    of: dict[str, list[StepEvent]] = {}
    for event in [event for batch in batches for event in batch]:
        code = sum(1 << bit for bit, holds in enumerate(STEPS[name]) if holds(event))
        if (code or "strict_order" in modes) and (funnel.per == "user" or event.session_id):
            value = str(event.get(breakdown)) if breakdown and spec.carries_value(code) else ""
            own = event.actor if funnel.per == "user" else f"{event.actor} {event.session_id}"
            of.setdefault(own, []).append((event.ts, code, value))
    counters = FunnelCounters(spec)
    for own_events in of.values():
        counters.apply((key, (), chain) for key, chain in contributions(spec, own_events).items())
    return counters


@settings(deadline=None)
@given(logs())
def test_a_batch_counts_what_its_events_would_have_counted(batches: list[list[Event]]) -> None:
    funnels = folded(batches)
    one_by_one = folded([[event] for batch in batches for event in batch])
    at_once, singly = (
        [(view, {actor: entries.get(actor) for actor in entries.actors()}) for view, entries in found.all_actors()]
        for found in (funnels, one_by_one)
    )
    assert at_once == singly
    for name, fields in (
        ("buying", ("platform", "channel")),
        ("on_ios", ("",)),
        ("twice", ("platform",)),
        ("session", ("", "platform")),
    ):
        for breakdown in fields:
            wanted = expected(batches, name, breakdown)
            for found in (funnels, one_by_one):
                counted = {
                    (key.bucket, key.value): data[8:]
                    for key, data in found.dump(None)
                    if (key.funnel, key.breakdown) == (name, breakdown)
                }
                none = FunnelCounters(FunnelSpec(len(PLAN.funnels[name].steps), 1, lambda ts: (0, 1)))
                none.begin({(0, ""): 0}, (0,))
                empty = none.dump((0, ""))
                # Those that were counted for a moment hold nobody.
                assert {key: data for key, data in counted.items() if data != empty} == {
                    key: wanted.dump(key)
                    for key in wanted.keys()  # noqa: SIM118 - not a dict
                }
