"""Tables: what fits a phone stays a table, what is wider becomes cards, and a matrix scrolls."""

from __future__ import annotations

import pytest

from pipeline.render.html import Safe, h
from pipeline.render.tables import letters, table


def test_a_row_of_a_wide_table_is_a_card_whose_cells_say_what_they_are() -> None:
    heads = ["Experiment", "Users", h("button", "Value & more", data_def="what it is"), "Verdict"]
    rows = [["checkout", "1,204", "60.57", "Better: +6.6 points (95 %: +0.4 … +12.9 points)."]]
    assert table(heads, rows, label="What they say", numeric=[1, 2]) == (
        '<div class="scroll" role="region" aria-label="What they say" tabindex="0"><table class="cards" role="table">'
        '<thead role="rowgroup"><tr role="row"><th scope="col" role="columnheader">Experiment</th>'
        '<th scope="col" class="n" role="columnheader">Users</th>'
        '<th scope="col" class="n" role="columnheader"><button data-def="what it is">Value &amp; more</button></th>'
        '<th scope="col" role="columnheader">Verdict</th></tr></thead>'
        '<tbody role="rowgroup"><tr role="row"><td data-label="Experiment" role="cell">checkout</td>'
        '<td class="n" data-label="Users" role="cell">1,204</td><td class="n" data-label="Value &amp; more" role="cell">60.57</td>'
        '<td class="long" data-label="Verdict" role="cell">Better: +6.6 points (95 %: +0.4 … +12.9 points).</td></tr></tbody>'
        "</table></div>"
    )


def test_what_fits_a_phone_stays_a_table() -> None:
    assert table(["Day", "People"], [["2026-11-24", "1,204"]], label="Days", numeric=[1], whole=[0]) == (
        '<div class="scroll" role="region" aria-label="Days" tabindex="0"><table><thead><tr><th scope="col">Day</th>'
        '<th scope="col" class="n">People</th></tr></thead><tbody><tr><td class="day">2026-11-24</td><td class="n">1,204</td></tr>'
        "</tbody></table></div>"
    )


LONG = "a rule of the plan that nobody can say in fewer words than these"


@pytest.mark.parametrize(
    ("heads", "row", "kind"),
    [
        (["Id", "Value"], ["u1", LONG], ""),  # words that are broken into lines
        (["Id", "Value"], ["u1", "x" * 40], "cards"),  # one that is not
        (["Id", "Value"], ["u1", "订" * 30], ""),
        (["Id", "Value"], ["u1", h("details", h("summary", "more"), h("p", "x"))], "cards"),
        (["Id", "Value"], ["u1", Safe("<b>12</b>")], ""),
        (["One", "Two", "Three", "Four", "Five"], ["1", "2", "3", "4", "5"], ""),
        (["One", "Two", "Three", "Four", "Five"], ["1,000,000"] * 5, "cards"),
        (["渠道名称说明", "新增用户数量", "七日留存比例", "广告花费总额"], ["1", "2", "3", "4"], "cards"),
    ],
)  # fmt: skip
def test_cards_are_for_what_has_no_room(heads: list[str], row: list[str], kind: str) -> None:
    drawn = table(heads, [row], label="x", numeric=range(2, len(heads)))
    assert ('<table class="cards"' in drawn) == (kind == "cards")
    assert ("data-label" in drawn) == (kind == "cards")


def test_a_matrix_is_never_taken_apart() -> None:
    drawn = table(["Cohort", *map(str, range(30))], [["2026-11-24"] + ["100.0 %"] * 30], label="x", matrix=True)
    assert '<table class="matrix">' in drawn
    assert "data-label" not in drawn


def test_a_name_of_a_stranger_stays_a_name() -> None:
    drawn = table(['"><script>', "b"], [["x" * 40, "1"]], label='" onclick="')
    assert 'data-label="&quot;&gt;&lt;script&gt;"' in drawn
    assert 'aria-label="&quot; onclick=&quot;"' in drawn
    assert "<script>" not in drawn


def test_without_rows_a_word_about_it() -> None:
    assert table(["a"], [], label="x", empty="Nobody.") == '<p class="empty">Nobody.</p>'
    assert table(["a"], [], label="x") == '<p class="empty">–</p>'


def test_a_long_list_scrolls_by_itself() -> None:
    few, many = [["1", "2"]] * 60, [["1", "2"]] * 61
    assert 'class="scroll"' in table(["a", "b"], few, label="x")
    assert 'class="scroll tall"' in table(["a", "b"], many, label="x")
    # A card has a line a cell.
    wide = ["x" * 20] * 4
    assert 'class="scroll"' in table(wide, [wide] * 15, label="x")
    assert 'class="scroll tall"' in table(wide, [wide] * 16, label="x")


def test_chinese_letters_are_twice_as_wide() -> None:
    assert [letters(words) for words in ("", "abc", "订单 12")] == [0, 3, 7]
