"""Whatever somebody forges of the records between partitions: who is named in none of it is counted as without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from persons.cluster import Cluster, figures, home_of, oracle_of
from persons.test_answers import D0, MINUTE, U0, U1, V0, V1, Log, T, by_home
from persons.test_laws import PLAN as LAWS
from persons.test_laws import START, run, steps
from pydantic_core import to_json

from pipeline.ingest.aliases import ALIASES
from pipeline.measure.funnels import definition_of

LINK, HANDOVER = "streamgauge-link", "streamgauge-handover"
#: Where aliases are not decided: there a `decided` one has to be taken at its word.
ELSEWHERE = 1 - home_of(ALIASES, 2)
A, B, C = (by_home(name, ELSEWHERE) for name in "abc")


def decided(log: Log, old: str, new: str, p: int | None = None) -> None:
    """A record that says an alias was decided, which nobody has."""
    value = to_json({"id": old, "person": new, "kind": "alias", "ts": T})
    log.cluster.write(home_of(old, 2) if p is None else p, value, [(LINK, b"decided")])
    log.cluster.drain()


@pytest.mark.parametrize(
    ("circle", "left", "later"),
    [
        ([(A, B), (B, A)], 1, 3),
        ([(A, B), (B, C), (C, A)], 0, 3),
        ([(A, B), (B, A), (C, A)], 0, 2),  # by four links C comes to B
    ],
)
def test_a_forged_circle_ends_and_only_who_is_in_it_is_missed_in_open_windows(
    circle: list[tuple[str, str]], left: int, later: int
) -> None:
    log = Log()
    for user in (A, B, C, U0, U1):
        log.send("look", T, user=user)
    log.send("look", T, device=D0)
    for old, new in circle:
        decided(log, old, new)
    for number, user in enumerate((A, B, C)):
        log.send("join", T + MINUTE + number, user=user)
    assert log.outcomes()["accepted"] == 9  # each event once, wherever it has gone round
    assert log.users(T // MINUTE * MINUTE, "minute") == 3 + left
    assert log.users(T // MINUTE * MINUTE + MINUTE, "minute") == later
    log.send("join", T + 2 * MINUTE, user=U1, device=D0)
    log.send("buy", T + 2 * MINUTE, user=U1)
    assert log.users(T // MINUTE * MINUTE, "minute") == 2 + left
    assert log.users(T // MINUTE * MINUTE + 2 * MINUTE, "minute") == 1


def test_a_forged_decision_where_aliases_are_decided_is_decided_like_any_other() -> None:
    log = Log()
    old, new = (V0, U0) if ELSEWHERE else (V1, U1)
    decided(log, old, new)
    decided(log, new, old)
    log.send("look", T, user=old)
    log.send("look", T, user=new)
    assert log.users() == 1


def test_a_record_of_as_many_claims_as_it_may_hold_is_folded_at_once() -> None:
    """And what it makes partitions tell each other goes in few records."""
    log = Log()
    claims = [{"id": f"{A}{n}", "person": U0, "kind": "alias", "ts": T} for n in range(5_000)]
    log.cluster.write(1 - ELSEWHERE, to_json(claims), [(LINK, b"1")])
    log.cluster.drain()
    assert sum(map(len, log.cluster.logs)) <= 1 + 5_000 // 500 + 1
    log.send("look", T, user=U0)
    log.send("look", T, user=f"{A}7")
    assert log.users() == 1


# -- any of them ---------------------------------------------------------------------------------------------------

#: Those whom somebody names, and those who are nobody's: what they do is on the platform `named`.
_NAMED: Sequence[str] = ("n1", "n2", "n3", "n4")
_DEVICES: Sequence[str] = ("m1", "m2")
_KINDS = st.sampled_from(["alias", "alias", "login", "import"])


@st.composite
def honest(draw: Any) -> list[dict[str, Any]]:
    """Two companies on devices of their own; only the first is ever named in what is forged."""
    found = []
    for number in range(draw(st.integers(4, 20))):
        named = draw(st.booleans())
        user = draw(st.sampled_from([None, *(_NAMED if named else ("u1", "u2", "u3"))]))
        device = draw(st.sampled_from([None, *(_DEVICES if named else ("d1", "d2"))]))
        if user is None and device is None:
            device = _DEVICES[0] if named else "d1"
        event = {"event_id": f"e{number}", "event": draw(st.sampled_from(["look", "look", "join", "buy"]))}
        event |= {"ts": START + draw(st.integers(0, 40)) * 30 * MINUTE, "platform": "named" if named else "other"}
        event |= {key: one for key, one in (("user_id", user), ("anonymous_id", device)) if one is not None}
        if user is not None and draw(st.integers(0, 5)) == 0:
            old = draw(st.sampled_from(_NAMED if named else ("u1", "u2", "u3")))
            event |= {"event": "rename", "properties": {"old": old}}
        found.append(event)
    return found


@st.composite
def forgeries(draw: Any) -> list[tuple[int, str, bytes, bytes]]:
    """Before which event, which header with which value, and which record."""
    found = []
    for number in range(draw(st.integers(1, 12))):
        at, user = draw(st.integers(0, 20)), draw(st.sampled_from(_NAMED))
        if draw(st.booleans()):
            claims = [
                {"id": draw(st.sampled_from(_NAMED if kind == "alias" else _DEVICES)), "person": user, "kind": kind,
                 "ts": START}
                for kind in draw(st.lists(_KINDS, min_size=1, max_size=5))
            ]  # fmt: skip
            header = draw(st.sampled_from([b"decided", b"decided", b"1", b"x"]))
            found.append((at, LINK, header, to_json(claims)))
            continue
        minutes = draw(st.lists(st.integers(0, 40), max_size=6))
        name = draw(st.sampled_from([name for name, funnel in LAWS.funnels.items() if funnel.breakdown]))
        events = [(START + 30 * MINUTE * n, draw(st.sampled_from([1, 2, 4, 7])), "named") for n in minutes]
        body = {
            "id": draw(st.sampled_from([*_NAMED, *(f"$device:{one}" for one in _DEVICES)])), "person": user,
            "hops": draw(st.integers(1, 4)), "watermark": draw(st.sampled_from([0, START, START + 10**9])),
            "fields": ["event", "platform"],
            "visits": [(START // MINUTE + 30 * n, ("look", "named"), draw(st.booleans())) for n in minutes],
            "steps": [(name, definition_of(LAWS.funnels[name], LAWS), "platform", "", events)],
        }  # fmt: skip
        found.append((at, HANDOVER, b"%d:%d:0" % (number % 3, 900 + number), to_json(body)))
    return found


def unnamed(cluster: Cluster) -> dict[Any, Any]:
    """What is counted of those who are named nowhere."""
    found = figures(cluster.measures())
    return {key: figure for key, figure in found.items() if key[2] == "platform" and key[3] in ("other", ("other",))}


@settings(max_examples=settings.default.max_examples // 2)
@given(honest(), forgeries(), st.integers(1, 3), st.lists(steps, max_size=20), st.randoms(use_true_random=False))
def test_who_is_not_named_is_counted_as_without_it(
    log: list[dict[str, Any]], forged: list[tuple[int, str, bytes, bytes]], partitions: int,
    plan: list[tuple[int, int, str]], rng: Any,
) -> None:  # fmt: skip
    with_it, without = Cluster(LAWS, partitions), Cluster(LAWS, partitions)
    for number in range(21):
        for at, header, value, body in forged:
            if at == number:
                with_it.write(rng.randrange(partitions), body, [(header, value)])
        # In the same order: who is first on a device may depend on it.
        run(with_it, log[number : number + 1], plan[number : number + 1], set())
        run(without, log[number : number + 1], [], set())
    assert unnamed(with_it) == unnamed(without)
    # Every record has an outcome, and events are counted once each, whoever they are counted as.
    assert sum(with_it.outcomes().values()) == sum(map(len, with_it.logs))
    assert all(state.reasons.get("unforeseen") is None for state in with_it.states)
    counted = [cluster.outcomes().get("accepted", 0) for cluster in (with_it, without)]
    assert counted[0] == counted[1]
    if not any(header == HANDOVER for _, header, _, _ in forged):
        assert with_it.outcomes() == oracle_of(LAWS, with_it.logs).outcomes()
