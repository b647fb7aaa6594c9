"""Annotations: what happened at a moment, drawn on charts over time.

annotations:
  - {at: "2026-11-20T14:00", text: App 2.4 is out, kind: release}
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Annotated, Final, Literal

from pydantic import AfterValidator

from schemas.names import check_text, shown
from schemas.translatable import TranslatableValueError
from schemas.where import StrictModel

#: Characters of a text, and annotations of a plan.
MAX_TEXT: Final = 200
MAX_ANNOTATIONS: Final = 1_000
#: What ClickHouse's Date holds, with room before and after.
_YEARS: Final = (1971, 2148)


def _moment(text: str) -> str:
    """Return a moment; raises ValueError that says how one is written."""
    try:
        # The day of a moment in UTC is at most one beside its own.
        found = datetime.fromisoformat(text)
    except ValueError:
        raise TranslatableValueError(
            "{text} is no moment: write 2026-11-20T14:00, or a day", text=shown(text)
        ) from None
    if not _YEARS[0] <= found.year <= _YEARS[1]:
        first, last = _YEARS
        raise TranslatableValueError("{text}: a year from {first} to {last}", text=shown(text), first=first, last=last)
    return text


def _said(text: str) -> str:
    if not text.strip():
        raise TranslatableValueError("say what happened")
    if len(text) > MAX_TEXT:
        raise TranslatableValueError(
            "a text of at most {most} characters, and this has {length}", most=MAX_TEXT, length=len(text)
        )
    return check_text(text)


class AnnotationSpec(StrictModel):
    """Something that happened: when, what, of which kind."""

    #: ISO 8601; without an offset it is of the plan's time zone, a day is its first moment.
    at: Annotated[str, AfterValidator(_moment)]
    text: Annotated[str, AfterValidator(_said)]
    kind: Literal["release", "campaign", "incident", "other"] = "release"

    def moment(self, zone: tzinfo) -> int:
        """Epoch ms; `zone` is the plan's."""
        found = datetime.fromisoformat(self.at)
        found = found if found.tzinfo is not None else found.replace(tzinfo=zone)
        return int(found.astimezone(UTC).timestamp() * 1000)
