"""Segments of a plan: rules over a person, by what they did and who they are.

segments:
  loyal:
    title: Loyal buyers
    all:
      - {did: purchase, at_least: 2, within: 30d}
      - {did_not: refund}
      - any: [{attribute: {plan: pro}}, {seen: {platform: ios}}]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from pydantic import Field, model_validator

from schemas.duration import DAY, Duration
from schemas.names import Name, Title
from schemas.translatable import TranslatableValueError
from schemas.where import StrictModel, Where, check_field

#: Rules of one segment, and how deep they may be within each other.
MAX_RULES, MAX_DEPTH = 20, 5
_KINDS = ("did", "did_not", "seen", "attribute", "all", "any")


class SegmentRule(StrictModel):
    """One rule: exactly one of `did`, `did_not`, `seen`, `attribute`, `all` and `any`."""

    #: The person did this event: so many times, within so long before the end of what is looked at.
    did: Name | None = None
    did_not: Name | None = None
    at_least: int | None = Field(default=None, ge=1, le=1_000_000)
    at_most: int | None = Field(default=None, ge=0, le=1_000_000)
    within: Duration | None = None
    #: Of `did` and `did_not`: conditions on the event.
    where: Where = Field(default_factory=dict)
    #: An event of the person, whichever, has this.
    seen: Where = Field(default_factory=dict)
    #: An attribute of the person is this.
    attribute: Where = Field(default_factory=dict)
    all: tuple[SegmentRule, ...] = ()
    any: tuple[SegmentRule, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> SegmentRule:
        given = [kind for kind in _KINDS if getattr(self, kind)]
        if len(given) != 1:
            raise TranslatableValueError(
                "a rule of a segment is one of {kinds}, not {given}",
                kinds=", ".join(_KINDS),
                given=" and ".join(given) or "none",
            )
        if given[0] not in ("did", "did_not") and self.where:
            raise TranslatableValueError("where goes with did and did_not, not with {given}", given=given[0])
        if given[0] != "did" and (self.at_least is not None or self.at_most is not None):
            raise TranslatableValueError("at_least and at_most go with did, not with {given}", given=given[0])
        if given[0] not in ("did", "did_not", "seen") and self.within is not None:
            raise TranslatableValueError("within goes with did, did_not and seen, not with {given}", given=given[0])
        if self.within is not None and (self.within < DAY or self.within % DAY):
            raise TranslatableValueError("within is whole days, such as 7d")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise TranslatableValueError(
                "at_least {least} is more than at_most {most}", least=self.at_least, most=self.at_most
            )
        for field in (*self.where, *self.seen):
            check_field(field, "a segment")
        return self

    def events(self) -> Iterator[str]:
        """The names of events that it asks for."""
        yield from filter(None, (self.did, self.did_not))
        for rule in (*self.all, *self.any):
            yield from rule.events()

    def size(self) -> tuple[int, int]:
        """How many rules it has, and how deep they are."""
        inner = [rule.size() for rule in (*self.all, *self.any)]
        if not inner:
            return max(1, len(self.attribute)), 0
        return sum(count for count, _ in inner), 1 + max(depth for _, depth in inner)


class SegmentSpec(SegmentRule):
    """A segment of the plan: a rule with a title."""

    title: Title = ""
    description: str = ""


def check_segments(segments: dict[str, SegmentSpec], events: Collection[str] | None) -> None:
    """Raise ValueError for a segment that names an event which is not among `events` (None: any may come)."""
    for name, segment in segments.items():
        count, depth = segment.size()
        if count > MAX_RULES or depth > MAX_DEPTH:
            why = TranslatableValueError(
                "a segment has at most {most} rules, {deep} deep", most=MAX_RULES, deep=MAX_DEPTH
            )
            raise TranslatableValueError("{place}: {why}", place=f"segments.{name}", why=why)
        for event in segment.events():
            if events is not None and event not in events:
                raise TranslatableValueError(
                    "{place}: the event {event} is not among this plan's events",
                    place=f"segments.{name}",
                    event=repr(event),
                )
