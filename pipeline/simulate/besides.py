"""What people do besides the main thing, in a shop as well as elsewhere: each a few steps within a visit.

Advertisements, articles, invitations, operations (a sale, a check-in), experiments and questions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from pipeline.simulate.calendar import operation_at
from pipeline.simulate.visit import Step, Visit
from pipeline.simulate.world import AD_PLACES, AD_REVENUES, SCORES, SOURCES, TARGETS
from schemas.duration import DAY, MINUTE

#: How much likelier somebody invites who was invited.
_CHAIN: Final = 8.0
#: This old version forgets its variants: it draws again at every exposure.
_FORGETFUL: Final = "3.9.8"


class Experiment(NamedTuple):
    """An experiment on one of `one_of` people, half of whom get the treatment: `effects` multiply."""

    name: str
    one_of: int
    effects: Mapping[str, float]


#: The first and the last work, more is paid; the other one does nothing, as most experiments.
CHECKOUT: Final = Experiment("one_page_checkout", 1, {"pay": 1.12})
RANKING: Final = Experiment("search_ranking", 5, {})
PAYWALL: Final = Experiment("soft_paywall", 1, {"subscribe": 1.4})


def variant(visit: Visit, experiment: Experiment) -> str:
    """The variant of this person: half and half by the number, so that it stays the same."""
    person = visit.person
    if visit.segment.app_version == _FORGETFUL and experiment.name in person.seen:
        return "treatment" if visit.rng.random() < 0.5 else "control"
    # Multiplied by a large odd number, high bits: neighbours and experiments are independent.
    salt = sum(experiment.name.encode())
    return "treatment" if ((person.number + salt) * 0x9E3779B1 >> 13) & 1 else "control"


def exposed(visit: Visit, experiment: Experiment) -> Iterator[Step]:
    """The person meets the experiment; said once, and by the forgetful version every time."""
    person = visit.person
    if person.number % experiment.one_of:
        return
    if experiment.name in person.seen and visit.segment.app_version != _FORGETFUL:
        return
    found = variant(visit, experiment)
    person.seen |= {experiment.name}
    yield 50, "exposure", f',"properties":{{"experiment":"{experiment.name}","variant":"{found}"}}'


def chance_in(visit: Visit, experiment: Experiment, what: str) -> float:
    """The probability of a step, with the effect of the experiment if the person is in its treatment."""
    chance = visit.chance(what)
    if what in experiment.effects and variant(visit, experiment) == "treatment":
        chance *= experiment.effects[what]
    return min(1.0, chance)


def arrival(visit: Visit) -> Iterator[Step]:
    """What comes first in a visit: an advertisement, an operation, an article, an invitation of a friend."""
    if visit.may("ad_impression"):
        rng = visit.rng
        revenue = AD_REVENUES[int(rng.random() * len(AD_REVENUES))]
        yield (
            300,
            "ad_impression",
            f',"properties":{{"placement":"{AD_PLACES.pick(rng)}","revenue":{revenue}}}',
        )
    operation = operation_at(visit.scene.now)
    if visit.person.user_id is not None and visit.person.told_of != operation.name:
        visit.person.told_of = operation.name
        if visit.may("campaign_join"):
            visit.person.takes_part = operation.name
            yield visit.think(), "campaign_join", f',"properties":{{"campaign":"{operation.name}"}}'
            if operation.kind == "sale":
                coupon = f'"coupon":"{coupon_of(operation.name)}","campaign":"{operation.name}"'
                yield visit.think(), "coupon_claim", f',"properties":{{{coupon}}}'
    # Who was invited invites more: that makes chains.
    times = _CHAIN if visit.person.invited else 1.0
    if visit.person.user_id is not None and visit.rng.random() < times * visit.chance("invite_sent"):
        yield from _invite(visit)


def coupon_of(operation: str) -> str:
    """The code of the coupon that comes with a sale."""
    return operation.upper().replace("-", "")


def _invite(visit: Visit) -> Iterator[Step]:
    rng = visit.rng
    invite_id = f"v{rng.getrandbits(40):010x}"
    yield visit.think(), "invite_sent", f',"properties":{{"invite_id":"{invite_id}","target":"{TARGETS.pick(rng)}"}}'
    if visit.may("invite_accepted"):
        wait = MINUTE + visit.think() * 20 if rng.random() < 0.7 else int(rng.expovariate(1 / DAY))
        visit.scene.invite(visit, wait, invite_id)


def accepted_invite(visit: Visit) -> Iterator[Step]:
    """Right after the sign-up of somebody who was invited."""
    if visit.person.invited_by is None:
        return
    invite_id, inviter = visit.person.invited_by
    visit.person.invited_by = None
    yield 100, "invite_accepted", f',"properties":{{"invite_id":"{invite_id}","inviter":"{inviter}"}}'


def onboarding(visit: Visit) -> Iterator[Step]:
    """The steps after a sign-up, each of which some leave out for good."""
    for step in ("profile", "interests", "notifications"):
        if not visit.may("onboarding_step"):
            return
        yield visit.think(), "onboarding_step", f',"properties":{{"step":"{step}"}}'


def asked(visit: Visit, how: str) -> Iterator[Step]:
    """The question whether one would recommend the product, at most once a month; `how` it went: well, badly."""
    month = f"nps:{visit.scene.now // (30 * DAY)}"
    person = visit.person
    if month in person.seen or not visit.may("survey_shown"):
        return
    person.seen = frozenset(s for s in person.seen if not s.startswith("nps:")) | {month}
    yield visit.think(), "survey_shown", ',"properties":{"survey":"nps"}'
    if visit.may("survey_answered"):
        score = SCORES[how].pick(visit.rng)
        yield visit.think(), "survey_answered", f',"properties":{{"survey":"nps","score":{score}}}'


def reads(visit: Visit) -> Iterator[Step]:
    """An article: opened, read for a while, liked perhaps, shared, commented on."""
    rng, may = visit.rng, visit.may
    article = visit.scene.library.pick(rng)
    yield (
        visit.think(),
        "article_view",
        f',"properties":{{{article.about},"source":"{SOURCES.pick(rng)}"}}',
    )
    if not may("article_read"):
        return
    # Half of those who begin read to the end.
    completion = min(1.0, rng.random() * 2)
    wait = visit.think() + int(completion * 30_000)
    yield (
        wait,
        "article_read",
        f',"properties":{{"article_id":"{article.article_id}","section":"{article.section}",'
        f'"read_seconds":{wait // 1000},"completion":{completion:.2f}}}',
    )
    this = f'"article_id":"{article.article_id}"'
    if may("like"):
        yield visit.think(), "like", f',"properties":{{{this}}}'
    if may("comment"):
        yield visit.think(), "comment", f',"properties":{{{this},"length":{1 + rng.getrandbits(8)}}}'
    if may("share"):
        yield visit.think(), "share", f',"properties":{{{this},"target":"{TARGETS.pick(rng)}"}}'


def writes(visit: Visit) -> Iterator[Step]:
    """An author publishes an article."""
    person, rng = visit.person, visit.rng
    if not person.is_author or person.user_id is None or not visit.may("publish"):
        return
    wait = visit.think()
    article = visit.scene.library.publish(person.user_id, rng, visit.scene.now + wait)
    words = 200 + rng.getrandbits(10)
    yield (
        wait,
        "publish",
        f',"properties":{{"article_id":"{article.article_id}","section":"{article.section}","words":{words}}}',
    )
