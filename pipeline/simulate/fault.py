"""Faults to inject: from a given time on, something that users do becomes rarer, or more frequent.

A fault is for demonstrations and for testing alerts: `step=purchase platform=android from=14:00 factor=0.2` means
that from 14:00 on only one purchase of five gets through on Android, and the visits of the other four end there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, time, tzinfo
from random import Random
from typing import Final

from pipeline.simulate.behaviour import Behaviour, Change, Segment
from schemas.duration import parse_duration
from schemas.translatable import TranslatableValueError

_ITEM: Final = re.compile(r"(?P<name>[a-z_]+)=(?P<value>[^\s,]+)")
_CLOCK: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_BEHAVIOURS: Final = frozenset(f.name for f in fields(Behaviour)) - {"think_ms"}


@dataclass(frozen=True, slots=True)
class Fault:
    """From `start` until `end` (epoch ms; None: for ever) events named `step` are `factor` times as frequent.

    `where` narrows it to a segment (`platform`, `app_version`, `country`, `channel`). A factor below 1 lets that share
    of the events through, of any event; what a visit would have done after a lost one doesn't happen either. A factor
    above 1 needs an event that is a decision of the user (`Behaviour`): its probability is multiplied, up to 1.
    Raises ValueError for what can't be.
    """

    step: str
    factor: float
    start: int
    end: int | None = None
    where: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.factor <= 1000:
            factor = f"{self.factor:g}"
            raise TranslatableValueError("factor {factor}: use 0 (none gets through) to 1000", factor=factor)
        if self.factor > 1 and self.step not in _BEHAVIOURS:
            known = ", ".join(sorted(_BEHAVIOURS))
            raise TranslatableValueError(
                "{step} can't be made more frequent, only these: {known}", step=self.step, known=known
            )
        if self.end is not None and self.end <= self.start:
            raise TranslatableValueError("it ends before it begins")
        for name in self.where:
            if name not in Segment._fields:
                known = ", ".join(Segment._fields)
                raise TranslatableValueError(
                    "{name} is not part of a segment: use one of {known}", name=repr(name), known=known
                )

    def holds(self, segment: Segment, now: int) -> bool:
        """Whether it is in force for this segment at `now` (epoch ms)."""
        if now < self.start or (self.end is not None and now >= self.end):
            return False
        return all(getattr(segment, name) == value for name, value in self.where.items())

    @property
    def change(self) -> Change | None:
        """The change of behaviour that makes it, None for one that takes events away."""
        if self.factor <= 1:
            return None
        return Change(self.start, {}, self.where, self.end, factors={self.step: self.factor})


class Losses:
    """Decides which events are lost to faults. Randomness of its own: before a fault begins nothing differs."""

    def __init__(self, faults: Sequence[Fault], seed: int | str) -> None:
        self._by_step: dict[str, list[Fault]] = {}
        for fault in faults:
            if fault.factor < 1:
                self._by_step.setdefault(fault.step, []).append(fault)
        self._rng = Random(f"fault:{seed}")

    def takes(self, step: str, segment: Segment, now: int) -> bool:
        """Whether this event doesn't happen."""
        return any(
            fault.holds(segment, now) and self._rng.random() >= fault.factor for fault in self._by_step.get(step, ())
        )


def parse_fault(text: str, *, now_ms: int, zone: tzinfo = UTC) -> Fault:
    """Read `step=purchase platform=android from=14:00 until=16:00 factor=0.2`, blanks or commas between.

    Times are `HH:MM` (of the day of `now_ms` in `zone`), ISO 8601, or relative to `now_ms`: `-2h`, `+30s`. Without
    `from` it is in force from the beginning, without `factor` nothing gets through. Raises ValueError that says what
    is wrong.
    """
    found: dict[str, str] = {}
    for match in _ITEM.finditer(text):
        if match["name"] in found:
            raise TranslatableValueError("{name} is given twice", name=match["name"])
        found[match["name"]] = match["value"]
    rest = _ITEM.sub("", text).strip(" ,")
    if rest:
        raise TranslatableValueError(
            "{rest} is not understood: write it like step=purchase platform=android from=14:00 factor=0",
            rest=repr(rest),
        )
    if "step" not in found:
        raise TranslatableValueError("it names no step: write step=EVENT, like step=purchase")
    try:
        factor = float(found.get("factor", "0"))
    except ValueError:
        raise TranslatableValueError("factor {factor} is not a number", factor=repr(found["factor"])) from None
    where = {name: value for name, value in found.items() if name not in ("step", "factor", "from", "until")}
    start = _time(found["from"], now_ms, zone) if "from" in found else 0
    end = _time(found["until"], now_ms, zone) if "until" in found else None
    return Fault(found["step"], factor, start, end, where)


def _time(text: str, now_ms: int, zone: tzinfo) -> int:
    if text[0] in "+-":
        distance = parse_duration(text[1:])
        return now_ms + distance if text[0] == "+" else now_ms - distance
    if _CLOCK.fullmatch(text):
        today = datetime.fromtimestamp(now_ms / 1000, zone).date()
        moment = datetime.combine(today, time.fromisoformat(text.zfill(5 if text.count(":") == 1 else 8)), zone)
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise TranslatableValueError(
                "{text} is not a time: write 14:00, 2026-11-22T14:00 or -2h", text=repr(text)
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
    return round(moment.timestamp() * 1000)
