"""With the recogniser and without it a log leads to the same state, byte for byte."""

from __future__ import annotations

import pytest

from pipeline.ingest.recognise import Recogniser
from pipeline.ingest.records import Record
from pipeline.ingest.validate import Validator
from pipeline.measure.rows import ActivityRow, FunnelRow
from pipeline.simulate import SHOP, History
from pipeline.simulate.devices import Devices
from pipeline.simulate.history import BY_DAY
from pipeline.state.partition import PartitionState
from schemas.duration import DAY
from schemas.plan_io import load_plan

END = 1_795_276_800_000  # midnight of 2026-11-22 in Shanghai


@pytest.fixture(scope="module")
def values() -> list[bytes]:
    """Six hours of the simulated shop, and what broken producers send: every tenth record is cut, a few are odd."""
    history = History(SHOP, END - DAY // 4, END, 4_000, None, 1, (), BY_DAY, Devices(), True)
    sent = [one.value or b"" for one in history.records()]
    broken = [value[:-7] for value in sent[::10]]
    odd = [value.replace(b'"properties":{', b'"properties":{"n":9007199254740993.0,"x":NaN,') for value in sent[5::97]]
    return [*sent, *broken, *odd]


def test_the_state_is_the_same_without_the_recogniser(values: list[bytes]) -> None:
    plan = load_plan("shop")
    found: list[tuple[list[tuple[bytes, bytes]], list[ActivityRow], list[FunnelRow], dict[str, int]]] = []
    for validator in (Validator(plan), Validator(plan, "pydantic")):
        state = PartitionState(plan, validator, 0, 1)
        for start in range(0, len(values), 700):
            state.fold([Record(start + i, END, None, value) for i, value in enumerate(values[start : start + 700])])
        activity, funnels, _ = state.changed_rows(END)
        found.append((sorted(state.checkpoint().entries), sorted(activity), sorted(funnels, key=repr), state.reasons))
        state.activity.close()
    assert found[0] == found[1]
    assert set(found[0][3]) >= {"invalid_json", "not_finite"}


def test_nearly_all_of_the_simulated_shop_is_recognised(values: list[bytes]) -> None:
    plan = load_plan("shop")
    recogniser, slow = Recogniser(plan), Validator(plan, "pydantic")
    accepted = recognised = 0
    for value in values:
        if recogniser.recognise([value]) != [None]:
            recognised += 1
            slow.parse(value)
            accepted += 1
    assert accepted == recognised > len(values) * 0.85
