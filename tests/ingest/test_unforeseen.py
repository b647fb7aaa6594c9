"""A record that raises what nobody foresaw is set aside; the records around it are judged as ever."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pipeline.errors import BrokenPromiseError
from pipeline.ingest import history
from pipeline.ingest.classify import PartitionClassifier
from pipeline.ingest.records import Outcome, Record, Unreadable
from pipeline.ingest.validate import Rejection, Validator
from schemas.event import Event
from schemas.plan import Plan
from schemas.plan_io import load_plan

START = 1_748_768_400_000


class Mistaken(Validator):
    """A validator with a mistake: some values raise what is no rejection."""

    def __init__(self, plan: Plan, error: BaseException) -> None:
        super().__init__(plan)
        self._error = error

    def parse_all(
        self, values: Sequence[bytes | None], numbers: Sequence[int]
    ) -> tuple[list[Event | None], dict[int, Rejection]]:
        if any(value and b"poison" in value for value in values):
            raise self._error
        return super().parse_all(values, numbers)

    def parse(self, value: bytes | None, number: int = 1) -> Event:
        if value and b"poison" in value:
            raise self._error
        return super().parse(value, number)


def event(number: int, user: str = "u") -> bytes:
    return b'{"event_id":"e%d","event":"app_open","user_id":"%b","ts":%d}' % (number, user.encode(), START + number)


def log() -> list[Record]:
    return [Record(n, START, None, event(n, "poison" if n == 2 else "u")) for n in range(5)]


def test_the_record_is_rejected_with_the_name_of_the_exception() -> None:
    plan = load_plan("shop")
    result = PartitionClassifier(plan, Mistaken(plan, KeyError("platform")), 0, 1).classify(log())
    assert result.outcomes == [Outcome.ACCEPTED] * 2 + [Outcome.REJECTED] + [Outcome.ACCEPTED] * 2
    assert [(i, why.reason, why.detail) for i, why in result.rejections.items()] == [
        (2, "unforeseen", "KeyError: 'platform'")
    ]


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), OSError("disk"), BrokenPromiseError("no")])
def test_what_says_nothing_of_the_record_is_raised(error: Exception) -> None:
    plan = load_plan("shop")
    with pytest.raises(type(error)):
        PartitionClassifier(plan, Mistaken(plan, error), 0, 1).classify(log())


def test_what_follows_the_validation_is_guarded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the origin's header holds: here its reader has a mistake."""
    right = history.origin_mark

    def mistaken(record: Record) -> int:
        if dict(record.headers).get("streamgauge-origin") == b"poison":
            raise ZeroDivisionError("origin")
        return right(record)

    monkeypatch.setattr(history, "origin_mark", mistaken)
    plan = load_plan("shop")
    origins = (b"0:0", b"poison", b"0:2")
    records = [Record(n, START, None, event(n), [("streamgauge-origin", origin)]) for n, origin in enumerate(origins)]
    state = PartitionClassifier(plan, Validator(plan), 0, 1)
    result = state.classify(records)
    assert result.outcomes == [Outcome.ACCEPTED, Outcome.REJECTED, Outcome.ACCEPTED]
    assert [why.detail for why in result.rejections.values()] == ["ZeroDivisionError: origin"]
    assert result.events[1] is None
    # The others are remembered as ever, and the one is not.
    assert state.classify([Record(9, START, None, event(1)), Record(10, START, None, event(2))]).outcomes == [
        Outcome.ACCEPTED,
        Outcome.DUPLICATE,
    ]


def test_a_batch_that_can_not_be_read_is_rejected_whole() -> None:
    plan = load_plan("shop")
    result = PartitionClassifier(plan, Validator(plan), 0, 1).classify(
        [Unreadable(7, START, b"\x00batch", "BadGzipFile: no")]
    )
    assert result.outcomes == [Outcome.REJECTED]
    assert [(why.reason, why.detail) for why in result.rejections.values()] == [("unreadable", "BadGzipFile: no")]
