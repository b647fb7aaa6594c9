# ruff: noqa: E501 - tables are read by their columns
"""What is kept is held against the plan: what it no longer has is named, and what fits is not."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from pipeline.doctor.gather import kept_misfits
from pipeline.doctor.kept import kept as advice
from pipeline.errors import UserError
from pipeline.kept.misfits import Misfit, misfits
from pipeline.kept.store import Edit, KeptStore
from pipeline.kept.things import Entry, Kept, Kind, make
from pipeline.render.language import Language
from pipeline.settings import Settings
from schemas.plan_io import parse_plan

PLAN = parse_plan(
    "product: Shop\nevents: {look: , buy: {value: amount, properties: {amount: number!}}}\nfunnels: {f: {steps: [look, buy]}}\n"
)
TODAY = date(2026, 11, 25)


def entries(kind: Kind, **data: dict[str, Any]) -> dict[str, Entry]:
    return {id_: Entry(id_, 1, 1, "ann", "ann", 1, make(kind, one)) for id_, one in data.items()}


def charts(*addresses: dict[str, str]) -> dict[str, Any]:
    return {
        "title": "Weekly",
        "charts": [{"key": f"c{k}", "title": f"Chart {k}", "address": one} for k, one in enumerate(addresses)],
    }


KEPT = Kept(
    boards=entries(
        "board",
        weekly=charts(
            {"kind": "trend", "m1": "count", "e1": "buy", "seg": "in:often", "scale": "log"},
            {"kind": "trend", "m1": "count", "e1": "byu"},
            {"kind": "metric", "metric": "revenue", "platform": "ios"},
            {"kind": "metric", "metric": "revnue"},
            {"kind": "metric", "metric": "funnel", "steps": "look"},
            {"kind": "trend", "m1": "count", "seg": "in:gone"},
        ),
        filtered={"title": "Filtered", "filter": {"address": {"seg": "in:gone"}}},
    ),
    segments=entries(
        "segment",
        often={"title": "Often", "address": {"g": "every", "g1": "did", "g1e": "buy"}},
        old={"title": "Old", "address": {"g": "every", "g1": "did", "g1e": "sold"}},
    ),
    annotations=entries("annotation", out={"at": "2026-11-20", "text": "App 2.4 is out"}),
    alerts=entries(
        "alert", few={"metric": "events", "below": 5}, gone={"metric": "events", "event": "sold", "below": 5}
    ),
    unreadable=(("board", "new", UserError("format: {why}", why="unknown")),),
)


def test_what_the_plan_no_longer_has_is_named_and_nothing_else() -> None:
    found = misfits(PLAN, KEPT, TODAY)
    assert [(one.kind, one.name, one.chart, str(one.why)) for one in found] == [
        ("board", "new", "", "format: unknown"),
        ("board", "Weekly", "Chart 1", "the plan has no event 'byu': did you mean buy?"),
        ("board", "Weekly", "Chart 3", "there is no metric revnue: did you mean revenue / revenue_by / ad_revenue?; `streamgauge metrics list` shows all"),
        ("board", "Weekly", "Chart 5", "the plan has no segment 'gone'"),
        ("board", "Filtered", "", "the plan has no segment 'gone'"),
        ("segment", "Old", "", "the plan has no event 'sold'"),
        ("alert", "gone", "", "event: the event 'sold' is not among this plan's events"),
    ]  # fmt: skip
    assert misfits(PLAN, Kept(), TODAY) == []


def test_the_doctor_says_it_with_what_to_do() -> None:
    found = misfits(PLAN, KEPT, TODAY)
    said = [(one.severity, one.sentence, one.todo) for one in advice(found, Language("en"))]
    assert said[1] == (
        "warning",
        "the chart Chart 1 of the board Weekly: the plan has no event 'byu': did you mean buy?",
        "take it off the board (Edit), or put back into the plan what it names; until then it shows this sentence",
    )
    assert said[6][1:] == (
        "the kept alert gone: event: the event 'sold' is not among this plan's events",
        "it is not evaluated: remove it (page Annotations and alerts), or put into the plan what it needs",
    )
    assert advice(found, Language("zh"))[5].sentence == "收藏的分群 Old：方案里没有事件 'sold'"
    many = advice([Misfit("segment", str(n), UserError("gone")) for n in range(13)], Language("en"))
    assert (len(many), many[-1].sentence) == (11, "and 3 more")


def test_the_file_that_the_settings_name_is_looked_at(tmp_path: Path) -> None:
    assert kept_misfits(Settings(), PLAN) == []
    assert kept_misfits(Settings(kept=tmp_path / "none"), PLAN) == []
    assert not (tmp_path / "none").exists()
    settings = Settings(kept=tmp_path / "kept.db")
    store = KeptStore(tmp_path / "kept.db")
    store.write([Edit("segment", "old", 0, KEPT.segments["old"].value)], "ann", 1)
    store.close()
    found = kept_misfits(settings, PLAN)
    assert isinstance(found, list)
    assert [one.name for one in found] == ["Old"]
    (tmp_path / "kept.db").write_bytes(b"no database" * 100)
    [said] = advice(kept_misfits(settings, PLAN), Language("en"))
    assert (said.severity, said.sentence) == (
        "error",
        f"{tmp_path / 'kept.db'} is no file of kept things (PIPELINE_KEPT): file is not a database",
    )
    assert said.todo.endswith("mend it, or restore a back-up")
