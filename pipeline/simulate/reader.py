"""How people use the content app of `schemas/plans/content.yaml`: they read, and a few of them subscribe."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.simulate.besides import (
    PAYWALL,
    RANKING,
    accepted_invite,
    arrival,
    asked,
    chance_in,
    exposed,
    onboarding,
    reads,
    writes,
)
from pipeline.simulate.visit import Step, Visit
from pipeline.simulate.world import SIGN_UPS, TIERS

#: A visit ends here at the latest.
_MAX_ARTICLES = 12
_METHODS = {"wechat": "apple"}
_PRICES = {"basic": "4.99", "plus": "9.99"}


def reader(visit: Visit) -> Iterator[Step]:
    """One visit: app_open, some articles, perhaps an account, perhaps a subscription."""
    yield 0, "app_open", ""
    person, may, think = visit.person, visit.may, visit.think
    if person.invited_by is not None and person.user_id is None:
        yield from _sign_up(visit)
    yield from arrival(visit)
    yield from writes(visit)
    yield from exposed(visit, RANKING)
    for _ in range(_MAX_ARTICLES):
        yield from reads(visit)
        if person.user_id is not None and may("follow"):
            author = visit.scene.library.pick(visit.rng).author_id
            yield think(), "follow", f',"properties":{{"author_id":"{author}"}}'
        if not may("look_on"):
            break
    if person.user_id is None and may("sign_up"):
        yield from _sign_up(visit)
        yield from onboarding(visit)
    if person.user_id is None or person.subscribed:
        if person.subscribed and may("unsubscribe"):
            person.subscribed = False
            yield think(), "unsubscribe", ',"properties":{"reason":"too little time"}'
    elif may("paywall"):
        yield think(), "paywall", ""
        yield from exposed(visit, PAYWALL)
        if visit.rng.random() < chance_in(visit, PAYWALL, "subscribe"):
            person.subscribed = True
            tier = TIERS.pick(visit.rng)
            paid = f'"tier":"{tier}","amount":{_PRICES[tier]},"period":"month"'
            yield think(), "subscribe", f',"properties":{{{paid}}}'
    if visit.rng.random() < 0.1:
        yield from asked(visit, "well")


def _sign_up(visit: Visit) -> Iterator[Step]:
    visit.sign_up()
    method = SIGN_UPS.pick(visit.rng)
    yield visit.think(), "sign_up", f',"properties":{{"method":"{_METHODS.get(method, method)}"}}'
    yield from accepted_invite(visit)
