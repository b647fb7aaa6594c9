"""What the front door could not read as an event: kept whole as a record of the log, and rejected there.

So everything that is turned away stands in one place. The record says in a header why, for its bytes alone may not: a
part of a request that is JSON, but nothing that the plan has a place for. Whoever may write to the topic can have
records of their own rejected so, and no others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pipeline.ingest.links import last
from pipeline.ingest.validate import Rejection

#: Header of a record that is no event: `REASON:DETAIL`.
REFUSED_HEADER: Final = "streamgauge-refused"
#: Header of a record whose value can't say who sent it through the front door.
SOURCE_HEADER: Final = "streamgauge-source"
_REASON: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def refused_header(reason: str, detail: str) -> tuple[str, bytes]:
    """The header that says why."""
    return REFUSED_HEADER, f"{reason}:{detail}"[:600].encode("utf-8", "replace")


def refusal(headers: Sequence[tuple[str, bytes | None]]) -> Rejection:
    """Why a record that has the header is none, in its sender's words as far as they are ours."""
    text = (last(headers, REFUSED_HEADER) or b"").decode("utf-8", "replace")
    reason, _, detail = text.partition(":")
    return Rejection(reason if _REASON.fullmatch(reason) else "refused", detail)
