"""What forms change, as pure functions: whatever a stranger sends is new versions of things that are sound, or a line."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dashboard.edits import EDITS, Editing, alert_data
from pipeline.errors import UserError
from pipeline.kept.store import KeptVersion
from pipeline.kept.things import Entry, Kept, check_id, data_of, make
from pipeline.render.language import Language
from schemas.plan_io import load_plan

PLAN, TODAY = load_plan("shop"), date(2026, 11, 26)
BOARD = make(
    "board",
    {"title": "B", "charts": [{"key": f"c{k}", "title": f"T{k}", "address": {"kind": "trend"}} for k in range(3)]},
)
KEPT = Kept(boards={"b": Entry("b", 4, 1, "ann", "ann", 1, BOARD)}, numbers={("board", "b"): 4, ("board", "old"): 2})
VERSIONS = [KeptVersion(4, 1, "ann", BOARD, False), KeptVersion(3, 1, "ann", None, True)]

ODD = st.one_of(
    st.text(max_size=30), st.sampled_from(["b", "c1", "1", "4", "rename", "chart-up", "board", "kind=trend", "g1=did", '["events"]', "[" * 2_000,
                                           '["conversion", "checkout", "pay"]', "below", "5", "30%", "1e400", "nan", "2026-11-20", "A"]),
)  # fmt: skip
FORMS = st.dictionaries(
    st.sampled_from(
        ["title", "id", "seen", "do", "key", "board", "new", "address", "moving", "text", "at", "kind", "name", "what",
         "condition", "value", "for", "severity", "todo", "version"]
    ), ODD, max_size=10,
)  # fmt: skip


def edited(action: str, **form: str) -> Any:
    return EDITS[action](Editing(form, KEPT, PLAN, TODAY, lambda kind, id_: VERSIONS, people=True))


def in_both(exc: UserError) -> str:
    """What is said in English; in Chinese it is said otherwise."""
    assert Language("zh").said(exc) != str(exc)
    return str(exc)


def tried(action: str, form: dict[str, str]) -> tuple[Any, str]:
    """What it makes, or what is said."""
    try:
        return edited(action, **form), ""
    except UserError as exc:
        return None, in_both(exc)


@given(st.sampled_from(sorted(EDITS)), FORMS)
def test_any_form_makes_things_that_are_sound_or_is_refused_in_one_line(action: str, form: dict[str, str]) -> None:
    done, said = tried(action, form)
    if done is None:
        assert "\n" not in said
        assert 0 < len(said) < 1_000
        return
    for edit in done.edits:
        check_id(edit.kind, edit.id)
        assert edit.value is None or make(edit.kind, data_of(edit.value)) == edit.value
    # It leads to a page of ours.
    assert done.to.startswith(("/board?", "/boards", "/kept"))
    assert done.to.isprintable()


@pytest.mark.parametrize(
    ("do", "key", "order"),
    [
        ("chart-up", "c2", "c0 c2 c1"), ("chart-up", "c0", "c0 c1 c2"), ("chart-down", "c0", "c1 c0 c2"), ("chart-down", "c2", "c0 c1 c2"),
        ("chart-remove", "c1", "c0 c2"),
    ],
)  # fmt: skip
def test_charts_change_places_by_their_key(do: str, key: str, order: str) -> None:
    (edit,) = edited("board-edit", id="b", seen="4", do=do, key=key).edits
    assert " ".join(chart.key for chart in edit.value.charts) == order
    assert edit.seen == 4


def test_what_somebody_else_removed_is_said() -> None:
    with pytest.raises(UserError, match="the chart is not on the board any more"):
        edited("board-edit", id="b", seen="4", do="chart-up", key="c9")
    with pytest.raises(UserError, match="there is no such board any more"):
        edited("board-edit", id="gone", seen="4", do="rename", title="x")
    with pytest.raises(UserError, match="there is no such board any more"):
        edited("chart-add", board="gone", title="x", address="kind=trend")


def test_a_chart_is_added_to_the_board_as_it_stands_and_its_days_move_on_if_wanted() -> None:
    address = urlencode({"kind": "trend", "e1": "a b&c=d", "from": "2026-11-20", "to": "2026-11-26"})
    (edit,) = edited("chart-add", board="b", title="New", address=address, moving="1").edits
    added = edit.value.charts[-1]
    assert (edit.seen, len(edit.value.charts), added.title, added.days, added.ago) == (4, 4, "New", 7, 0)
    assert added.address == {"kind": "trend", "e1": "a b&c=d"}
    (edit,) = edited("chart-add", board="b", title="New", address=address).edits
    assert edit.value.charts[-1].address["from"] == "2026-11-20"
    # A new board is never one that was removed.
    (edit,) = edited("chart-add", title="New", new="Old", address=address).edits
    assert edit.id != "old"
    assert edit.seen == 0


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ({"what": '["events", "purchase"]', "condition": "below", "value": "5", "for": "2m"},
         {"metric": "events", "event": "purchase", "below": 5.0, "for": "2m"}),
        ({"what": '["conversion", "checkout", "pay"]', "condition": "drop", "value": "30%"},
         {"metric": "conversion", "funnel": "checkout", "step": "pay", "drop": "30%"}),
        ({"what": '["events"]', "condition": "absent"}, {"metric": "events", "absent": True}),
        ({"what": "5", "condition": "what"}, {"metric": ""}),
        ({"what": '[{"a": 1}]', "condition": "above", "value": "1e999"}, {"metric": "", "above": "1e999"}),
        ({}, {"metric": ""}),
    ],
)  # fmt: skip
def test_an_alerts_form_is_the_plans_entry(form: dict[str, str], data: dict[str, Any]) -> None:
    assert alert_data(form) == data


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "1e999", "Infinity", "", "many", "5,000"])
@pytest.mark.parametrize("condition", ["above", "below", "drop", "unusual"])
def test_an_alert_is_compared_with_a_number(value: str, condition: str) -> None:
    done, said = tried("alert-save", {"name": "A", "what": '["revenue"]', "condition": condition, "value": value})
    assert done is None
    assert condition in said
