"""Live windows and funnels against the persons of the oracle: exactly, where exactness is promised."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from persons.oracle import Key, Oracle, Place, Whose

from pipeline.measure.windows import SLIDING, bounds

#: A sketch is exact for so many ids; beyond, four standard errors are allowed.
_EXACT: Final = 300
_ERROR: Final = 4 * 0.01625
_MINUTE: Final = 60_000
_SHOWN: Final = 5


def same_windows(live: Mapping[Key, Any], oracle: Oracle, value_of: Callable[[Place], int]) -> list[str]:
    """Live windows (events, amount in 10^-6, users, registrations) that are not right, in words."""
    closed = _Closed(oracle)
    found: dict[Key, str] = {}
    right = {(*key[:3], " / ".join(key[3])): events for key, events in oracle.windows().items()}
    for key in live.keys() | right.keys():
        events = right.get(key, [])
        count, amount, users, registrations = live.get(key, (0, 0, 0, 0))
        expected = (len(events), sum(value_of(one.place) for one in events))
        if (count, amount) != expected:
            found[key] = f"events and amount: found {count, amount}, right is {expected}"
        for what, number, exact in (
            ("persons", users, oracle.users(events)),
            ("registrations", registrations, oracle.registrations(events)),
        ):
            # All that a sketch of the window has seen: ids, and whom they were counted for instead.
            ids = len({one.first for one in events} | {one.person[0] for one in events})
            allowed = (0.0 if ids <= _EXACT else _ERROR * ids) + closed.by(key[0], key[1], events)
            if abs(number - exact) > allowed:
                found[key] = f"{what}: found {number}, right is {exact}" + (f" +- {allowed:.0f}" if allowed else "")
    return list(_words("live window", found))


def same_cohorts(live: Mapping[Key, Any], oracle: Oracle) -> list[str]:
    """Live funnel counters (users by step, number and sum of times) that are not right, in words."""
    closed = _Closed(oracle)
    right = oracle.cohorts()
    found: dict[Key, str] = {}
    for key in live.keys() | right.keys():
        funnel = oracle.plan.funnels[key[0]]
        nothing = ([0] * len(funnel.steps), [(0, 0)] * (len(funnel.steps) - 1))
        ours, theirs = live.get(key, nothing), right.get(key, nothing)
        if (list(ours[0]), list(ours[1])) == (theirs[0], theirs[1]):
            continue
        allowed = closed.of_funnel(key)
        if not allowed or any(abs(a - b) > allowed for a, b in zip(ours[0], theirs[0], strict=True)):
            found[key] = f"found {ours}, right is {theirs}" + (f" +- {allowed}" if allowed else "")
    return list(_words("live funnel", found))


class _Closed:
    """What was closed for some partition before the end: a link may have come after that, and then live keeps what it
    said. By how much it may be off then is the number of ids that were linked."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._reached = max((one.watermark for one in oracle.judged.values()), default=0)

    def by(self, grain: str, start: int, events: Iterable[Whose]) -> int:
        plan = self._oracle.plan
        open_for = plan.lateness
        if grain == "minute":
            open_for = max(open_for, plan.max_future + SLIDING * _MINUTE)
        if bounds(grain, start, plan.zone)[1] > self._reached - open_for:
            return 0
        return len({one.first for one in events if one.person[0] != one.first})

    def of_funnel(self, key: Key) -> int:
        plan, (name, start, *_) = self._oracle.plan, key
        funnel = plan.funnels[name]
        until = bounds(funnel.bucket, start, plan.zone)[1] + funnel.window
        if until >= self._reached - plan.lateness:
            return 0
        events = [one for one in self._oracle.counted() if start <= one.event.ts < until]
        return len({one.first for one in events if one.person[0] != one.first})


def _words(what: str, found: Mapping[Key, str]) -> Iterator[str]:
    for key in sorted(found)[:_SHOWN]:
        yield f"{what} {key}: {found[key]}"
    if len(found) > _SHOWN:
        yield f"{what}: {len(found)} differ"
