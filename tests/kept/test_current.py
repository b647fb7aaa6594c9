"""Who may change what is kept; kept alerts as alerts of the plan; what a back-up takes along."""

from __future__ import annotations

from pathlib import Path

import commands
import pytest
import yaml

from pipeline.backup.take import files_of
from pipeline.errors import UserError
from pipeline.kept.current import may_change, plan_with_kept, with_alert
from pipeline.kept.store import Edit, KeptStore
from pipeline.kept.things import make
from pipeline.settings import Settings
from schemas.plan_io import load_plan

SHOP = load_plan("shop")
FEW = {"metric": "events", "event": "purchase", "below": 5, "title": "Few orders"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(kept=tmp_path / "kept.sqlite", collect_sources=tmp_path / "sources.json")
    store = KeptStore(tmp_path / "kept.sqlite")
    store.write([Edit("alert", "few_orders_now", 0, make("alert", FEW))], "ann", 1)
    store.write([Edit("board", "weekly", 0, make("board", {"title": "Weekly"}))], "ann", 1)
    store.write([Edit("board", "weekly", 1, make("board", {"title": "Every week"}))], "bob", 2)
    store.close()
    return found


@pytest.mark.parametrize(
    ("editors", "user", "may"),
    [
        ("", "ann", True), ("", "", False), ("ann, bob", "bob", True), ("ann, bob", "eve", False), ("ann", "", False),
        ("ann", "Ann", False), ("ann", "ann ", False), ("*", "", True), ("*", "eve", True),
        (" , ", "ann", True), ("ann,*", "", True),
    ],
)  # fmt: skip
def test_who_may_change_things(tmp_path: Path, editors: str, user: str, may: bool) -> None:
    assert may_change(Settings(kept=tmp_path / "k", kept_editors=editors), user) is may
    assert may_change(Settings(kept_editors=editors), user) is False


def test_a_kept_alert_is_one_of_the_plan(settings: Settings) -> None:
    plan = plan_with_kept(settings)
    assert list(plan.alerting.alerts) == [*SHOP.alerting.alerts, "few_orders_now"]
    assert plan.alerting.alerts["few_orders_now"] == make("alert", FEW)
    assert plan.digest == SHOP.digest


def test_a_kept_annotation_is_one_of_the_plan(settings: Settings, tmp_path: Path) -> None:
    KeptStore(tmp_path / "kept.sqlite").write(
        [Edit("annotation", "out", 0, make("annotation", {"at": "2026-11-20", "text": "App 2.4 is out"}))], "ann", 1
    )
    assert [one.text for one in plan_with_kept(settings).annotations] == [
        *(one.text for one in SHOP.annotations),
        "App 2.4 is out",
    ]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (next(iter(SHOP.alerting.alerts)), FEW, "the plan has an alert"),
        ("A", {**FEW, "event": "bought"}, "the event 'bought' is not among this plan's events"),
        ("A", {**FEW, "where": {"country": "CN"}}, "put [event, country] into the plan's dimensions"),
        ("A", {**FEW, "tell": "nobody"}, "there is no receiver 'nobody'"),
        ("A", {**FEW, "under": "other"}, "there is no other alert 'other'"),
        ("A", {"metric": "conversion", "funnel": "checkout", "step": "no step", "below": 0.5}, "step: "),
    ],
)
def test_an_alert_that_the_plan_has_no_figure_for_is_refused(name: str, data: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        with_alert(SHOP, name, make("alert", data))
    assert said in str(caught.value)


def test_the_files_for_prometheus_have_kept_alerts_and_leave_out_what_no_longer_fits(
    settings: Settings, tmp_path: Path
) -> None:
    store = KeptStore(tmp_path / "kept.sqlite")
    # Of another plan: it must not stand in the way of the others.
    store.write([Edit("alert", "of_another_plan", 0, make("alert", {**FEW, "event": "gone"}))], "ann", 3)
    done = commands.run(
        ["alerts", "render", "-o", str(tmp_path / "rules")], {"PIPELINE_KEPT": str(tmp_path / "kept.sqlite")}, 60
    )
    assert done.returncode == 0, done.stderr
    rules = yaml.safe_load((tmp_path / "rules" / "streamgauge.rules.yml").read_text("utf-8"))
    names = {rule.get("alert") for group in rules["groups"] for rule in group["rules"]}
    assert "few_orders_now" in names
    assert "of_another_plan" not in names
    assert "few_orders_now" in (tmp_path / "rules" / "alertmanager.yml").read_text("utf-8")


def test_a_backup_takes_everything_that_is_kept_with_its_history(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "copy.sqlite").write_bytes(files_of(settings)["kept.sqlite"])
    copy = KeptStore(tmp_path / "copy.sqlite")
    assert [(v.number, v.who, v.value.title) for v in copy.history("board", "weekly")] == [
        (2, "bob", "Every week"),
        (1, "ann", "Weekly"),
    ]
    assert "kept.sqlite" not in files_of(settings.model_copy(update={"kept": None}))
    assert "kept.sqlite" not in files_of(settings.model_copy(update={"kept": tmp_path / "not there"}))
    assert not (tmp_path / "not there").exists()
