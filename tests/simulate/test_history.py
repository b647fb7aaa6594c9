"""The past of a simulated product: as many events as asked, people who return, and what the catalogue needs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pytest

from pipeline.ingest.validate import Validator
from pipeline.simulate import CONTENT, SHOP, History, Population, Product, Sent, product_of
from pipeline.simulate.calendar import operation_at, operations
from schemas.plan_io import load_plan, parse_plan

T0 = 1_790_812_800_000  # 2026-10-01T00:00:00Z, a Thursday
DAY = 86_400_000
PRODUCTS = {"shop": SHOP, "content": CONTENT}


def history(product: Product = SHOP, **more: Any) -> History:
    return History(product, T0, T0 + 20 * DAY, **{"events": 60_000, **more})


def fields(sent: Sent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sent.value or b"")
    return found


@pytest.fixture(scope="module")
def shop() -> list[dict[str, Any]]:
    return [fields(s) for s in history().records()]


@pytest.mark.parametrize("name", ["shop", "content"])
def test_every_event_of_the_product_comes_and_is_valid(name: str) -> None:
    plan, product = load_plan(name), PRODUCTS[name]
    assert product_of(plan) is product
    validator = Validator(plan)
    names = Counter()
    for sent in history(product).records():
        event = validator.parse(sent.value)
        assert sent.at == event.ts
        assert T0 <= event.ts < T0 + 20 * DAY
        names[event.name] += 1
    assert set(names) == product.events == set(plan.events)
    assert sum(names.values()) == pytest.approx(60_000, rel=0.05)


def test_the_same_arguments_give_the_same_bytes() -> None:
    small = {"events": 2_000}
    assert list(history(**small).records()) == list(history(**small).records())
    assert list(history(**small).records()) != list(history(**small, seed=2).records())


def test_people_return_and_fewer_the_later(shop: list[dict[str, Any]]) -> None:
    days = defaultdict(set)
    for event in shop:
        days[event.get("anonymous_id") or event["user_id"]].add((event["ts"] - T0) // DAY)
    new = [d for d in days.values() if 1 <= min(d) < 6]
    returned = {k: sum(min(d) + k in d for d in new) / len(new) for k in (1, 14)}
    assert 0.05 < returned[14] < returned[1] < 0.5


def test_invitations_make_chains(shop: list[dict[str, Any]]) -> None:
    sent = {e["properties"]["invite_id"]: e["user_id"] for e in shop if e["event"] == "invite_sent"}
    accepted = [e for e in shop if e["event"] == "invite_accepted"]
    assert 0.1 < len(accepted) / len(sent) < 0.5
    assert all(sent[e["properties"]["invite_id"]] == e["properties"]["inviter"] for e in accepted)
    invited = {e["user_id"] for e in accepted}
    signed_up = {e["user_id"]: e["ts"] for e in shop if e["event"] == "sign_up"}
    assert all(signed_up[e["user_id"]] < e["ts"] for e in accepted)
    assert invited & set(sent.values()), "nobody who was invited invites"


def test_experiments_have_two_halves_an_effect_and_some_users_in_both(shop: list[dict[str, Any]]) -> None:
    variants = defaultdict(set)
    for event in shop:
        if event["event"] == "exposure" and event["properties"]["experiment"] == "one_page_checkout":
            variants[event["user_id"]].add(event["properties"]["variant"])
    sizes = Counter(next(iter(v)) for v in variants.values() if len(v) == 1)
    assert sizes["treatment"] == pytest.approx(sizes["control"], rel=0.15)
    assert 0 < sum(len(v) == 2 for v in variants.values()) < 0.05 * len(variants)
    paid = {e["user_id"] for e in shop if e["event"] == "pay"}
    rate = {
        name: sum(v == {name} and user in paid for user, v in variants.items()) / sizes[name]
        for name in ("control", "treatment")
    }
    assert rate["treatment"] > rate["control"] + 0.03


def test_an_operation_runs_at_every_time() -> None:
    found = list(operations(T0, T0 + 14 * DAY))
    assert [(o.name, o.kind, (o.start - T0) // DAY, (o.end - T0) // DAY) for o in found] == [
        ("sale-2026w40", "sale", 0, 4),
        ("check-in-2026w41", "check-in", 4, 7),
        ("sale-2026w41", "sale", 7, 11),
        ("check-in-2026w42", "check-in", 11, 14),
    ]
    assert operation_at(T0 + 4 * DAY - 1).name == "sale-2026w40"


def test_those_who_take_part_in_a_sale_order_with_its_coupon(shop: list[dict[str, Any]]) -> None:
    joined = {(e["user_id"], e["properties"]["campaign"]) for e in shop if e["event"] == "campaign_join"}
    coupons = Counter()
    for event in shop:
        if event["event"] == "purchase" and "coupon" in event["properties"]:
            coupons[event["properties"]["coupon"][:4]] += 1
            if event["properties"]["coupon"].startswith("SALE"):
                operation = operation_at(event["ts"]).name
                assert (event["user_id"], operation) in joined or event["ts"] < T0 + 4 * DAY
    assert min(coupons["SALE"], coupons["AUTU"]) > 20


def test_scores_are_0_to_10_and_articles_are_read_in_part(shop: list[dict[str, Any]]) -> None:
    scores = Counter(e["properties"]["score"] for e in shop if e["event"] == "survey_answered")
    assert set(scores) <= set(range(11))
    assert sum(scores[n] for n in (9, 10)) > sum(scores[n] for n in range(7)) > 0
    completions = [e["properties"]["completion"] for e in shop if e["event"] == "article_read"]
    assert 0.3 < sum(c == 1.0 for c in completions) / len(completions) < 0.7


def test_life_goes_on_with_the_same_people() -> None:
    past = history(events=20_000)
    known = {fields(s).get("user_id") for s in past.records()}
    assert past.population is not None
    now = Population(1, start_ms=T0 + 20 * DAY, rate=5.0, users=past.number_of_users, after=past.population)
    live = [fields(next_) for next_, _ in zip(now.events(), range(1_500), strict=False)]
    users = {e.get("user_id") for e in live}
    assert len(users & known) > 0.6 * len(users)


def test_a_plan_of_something_else_has_no_simulated_product() -> None:
    assert product_of(parse_plan("product: Test\nevents:\n  look: {}\n")) is None


def test_a_history_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a span of time"):
        list(History(SHOP, T0, T0, 10).records())
