"""Kept things as a file: there and back is the identity; whatever else a file holds is refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import commands
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.kept.file import alert_yaml, changes, export, parse
from pipeline.kept.store import Edit, KeptStore
from pipeline.kept.things import Entry, Kept, make
from schemas.plan_io import parse_plan

EVERYTHING = """\
# Boards, segments, annotations and alerts, written by `streamgauge kept export`.
kept: 1
boards:
  weekly:
    title: 每周 "review"
    filter:
      address:
        platform: ios
      days: 14
    charts:
      - address:
          e1: purchase
          kind: trend
          m1: people
        days: 30
        ago: 1
        key: a1
        title: Buyers <b>
      - address:
          from: '2026-11-01'
          metric: revenue
          to: '2026-11-20'
        key: a2
        title: 'No'
segments:
  loyal:
    title: Loyal
    address:
      g: every
      g1: did
      g1e: purchase
      g1n: '2'
annotations:
  app-2-4:
    at: 2026-11-20T14:00
    text: App 2.4 is out
  sale:
    at: 2026-11-11T00:00+08:00
    text: 双十一
    kind: campaign
alerts:
  FewOrders:
    metric: events
    event: purchase
    below: 5.0
    for: 10m
"""

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)
ADDRESS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True), TEXT, max_size=4)
DAYS = st.fixed_dictionaries({}, optional={"days": st.integers(1, 366), "ago": st.integers(0, 366)})
IDS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True)
TITLE = TEXT.filter(lambda text: bool(text.strip()))


def _dated(address: dict[str, str], days: dict[str, int]) -> dict[str, Any]:
    return {"address": {k: v for k, v in address.items() if k not in ("from", "to")}, **days}


DATED = st.builds(_dated, ADDRESS, DAYS)
BOARD = st.builds(
    lambda title, seen, charts: {"title": title, "filter": seen, "charts": charts},
    TITLE, DATED,
    st.lists(st.builds(lambda key, title, dated: {"key": key, "title": title, **dated}, IDS, TITLE, DATED),
             max_size=3, unique_by=lambda chart: str(chart["key"])),
)  # fmt: skip
SEGMENT = st.builds(lambda title, value: {"title": title, "address": {"g": "any", "g1": value}}, TITLE, TEXT)
MOMENTS = st.datetimes().filter(lambda t: 1971 <= t.year <= 2148).map(lambda t: t.isoformat())
ANNOTATION = st.builds(lambda at, text, kind: {"at": at, "text": text, "kind": kind}, MOMENTS, TITLE,
                       st.sampled_from(["release", "campaign", "incident", "other"]))  # fmt: skip
ALERT = st.builds(lambda title, below, time: {"metric": "events", "title": title, "below": below, "for": time}, TEXT,
                  st.floats(0.001, 1e9), st.integers(1, 10**8))  # fmt: skip
ALL = st.lists(
    st.one_of(
        st.tuples(st.just("board"), IDS, BOARD), st.tuples(st.just("segment"), IDS, SEGMENT),
        st.tuples(st.just("annotation"), IDS, ANNOTATION),
        st.tuples(st.just("alert"), st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True), ALERT),
    ), max_size=6, unique_by=lambda one: (one[0], one[1]),
)  # fmt: skip


def kept(things: list[tuple[Any, str, Any]]) -> Kept:
    found: dict[str, dict[str, Entry]] = {"board": {}, "segment": {}, "annotation": {}, "alert": {}}
    for kind, id_, value in things:
        found[kind][id_] = Entry(id_, 1, 1, "ann", "ann", 1, value)
    return Kept(*found.values())


@settings(max_examples=settings.default.max_examples // 2)
@given(ALL)
def test_there_and_back_is_the_same(things: list[tuple[Any, str, Any]]) -> None:
    made = [(kind, id_, make(kind, data)) for kind, id_, data in things]
    text = export(kept(made))
    back = parse(text.encode())
    assert sorted(back, key=lambda one: one[:2]) == sorted(made, key=lambda one: one[:2])
    assert export(kept(back)) == text
    assert changes(kept(made), back) == []


def test_a_file_is_written_in_one_order_as_people_would() -> None:
    assert export(kept(parse(EVERYTHING.encode()))) == EVERYTHING


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no file of kept things: it begins with kept: 1"),
        ("kept: 2", "no file of kept things: it begins with kept: 1"),
        ("product: shop", "no file of kept things: it begins with kept: 1"),
        ("kept: 1\nboards: [1]", "'boards': a file has boards, segments, annotations, alerts, each by name"),
        ("kept: 1\ncharts: {}", "'charts': a file has boards, segments, annotations, alerts, each by name"),
        (
            "kept: 1\nboards: {../etc: {title: x}}",
            "boards.../etc: '../etc' can't be an id: use small letters, digits and -, at most 40",
        ),
        (
            "kept: 1\nboards: {a: {title: NO}}",
            'line 2: boards.a.title: NO is read as false: put it in quotes: "NO"; or write true or false',
        ),
        ("kept: 1\nboards: {a: {title: x}, a: {title: y}}", "line 2: boards.a: stands here twice"),
        ("kept: 1\nboards: {a: &a {title: x}, b: *a}", "aliases (*name) are not read here"),
        (
            "kept: 1\nboards: {a: !!python/object:os.system {}}",
            "no YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
        ("kept: 1\nboards: {", "no YAML: "),
        ("kept: 1\nboards: " + "{a: " * 3000 + "1" + "}" * 3000, "no YAML: RecursionError"),
        (
            "kept: 1\nsegments: {a: {title: x, address: {g1: did, seg: in}}}",
            "segments.a: seg is no parameter of a segment: they begin with g",
        ),
        ("kept: 1\nboards: {a: {title: x, charts: null}}", "boards.a: charts: Input should be a valid tuple"),
    ],
)
def test_other_files_are_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text.encode())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert said.startswith(("no YAML", "line")) or str(caught.value) == said


def said_of(data: bytes) -> str:
    """What is wrong with a file; "" of one that holds nothing."""
    try:
        assert parse(data) == []
    except UserError as exc:
        return str(exc)
    return ""


@given(st.binary(max_size=200))
def test_any_bytes_are_things_or_a_line(data: bytes) -> None:
    for given_ in (data, b"kept: 1\n" + data):
        assert "\n" not in said_of(given_)


def test_the_yaml_of_an_alert_is_a_part_of_a_plan() -> None:
    alert = make("alert", {"metric": "events", "below": 5, "for": "10m", "title": "少"})
    text = alert_yaml("Few", alert)
    assert (
        text
        == "alerting:\n  alerts:\n    Few:\n      title: 少\n      metric: events\n      below: 5.0\n      for: 10m\n"
    )
    assert parse_plan(f"product: p\nevents: {{a: }}\n{text}").alerting.alerts == {"Few": alert}


def test_it_is_taken_to_a_second_machine_by_the_command(tmp_path: Path) -> None:
    first, second, file = tmp_path / "first.sqlite", tmp_path / "second.sqlite", tmp_path / "kept.yaml"
    store = KeptStore(first)
    store.write([Edit(kind, id_, 0, value) for kind, id_, value in parse(EVERYTHING.encode())], "ann", 1)

    def run(command: str, path: Path, *more: str) -> tuple[int, str]:
        done = commands.run(["kept", command, str(file), *more], {"PIPELINE_KEPT": str(path)}, 60)
        return done.returncode, done.stdout + done.stderr

    assert run("export", first) == (0, "")
    assert file.read_text("utf-8") == EVERYTHING
    assert run("import", second, "--as", "ci")[1].splitlines()[-1] == "5 changed, 0 the same"
    assert run("import", second, "--as", "ci") == (0, "0 changed, 5 the same\n")
    there = KeptStore(second)
    assert export(there.read()) == EVERYTHING
    assert {entry.who for entry in there.read().boards.values()} == {"ci"}
    # A file that is wrong in one place changes nothing at all.
    file.write_text(EVERYTHING.replace("Loyal", "Very loyal") + "  bad name: {metric: events, below: 1}\n", "utf-8")
    code, said = run("import", second)
    assert code == 2
    assert "alerts.bad name: 'bad name' can't be the name of an alert" in said
    file.write_text(EVERYTHING.replace("Loyal", "Very loyal"), "utf-8")
    assert run("import", second)[1] == "segment loyal: changed\n1 changed, 4 the same\n"
    assert [version.value.title for version in there.history("segment", "loyal")] == ["Very loyal", "Loyal"]


def test_without_a_file_the_command_says_which_setting(tmp_path: Path) -> None:
    done = commands.run(["kept", "export", str(tmp_path / "x.yaml")], {}, 60)
    assert done.returncode == 2
    assert "name the file of kept things in PIPELINE_KEPT, or the folder of an `up` with --data" in done.stderr
