"""The side tables of the simulated product: what its campaigns cost, its operations, its articles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from random import Random
from typing import Final

from pipeline.simulate.calendar import operations
from pipeline.simulate.history import History
from pipeline.simulate.library import Library
from pipeline.simulate.world import CAMPAIGNS
from schemas.duration import DAY
from schemas.side_tables import Campaign, ContentItem, Spend

#: What a new user costs by each channel, roughly, in the shop's currency; and new users among 1,000 events.
_COST: Final = {"search": 4.0, "social": 6.5, "email": 0.9, "ads": 9.0}
_NEW_BY_EVENTS: Final = 0.009
_SHARES: Final = {"search": 0.24, "social": 0.16, "email": 0.10, "ads": 0.16}
#: What an operation costs, for each event a day.
_OPERATION_COST: Final = {"sale": 0.05, "check-in": 0.01}
_CURRENCY: Final = "CNY"


def spend(history: History, zone: tzinfo) -> Iterator[Spend]:
    """What was spent on each day of the history, for each campaign. The same for the same seed."""
    rng = Random(f"spend:{history.seed}")
    new_a_day = history.events * DAY / (history.end - history.start) * _NEW_BY_EVENTS
    for day in _days(history, zone):
        for channel, campaigns in CAMPAIGNS.items():
            for campaign in campaigns.values:
                users = new_a_day * _SHARES[channel] / len(campaigns.values) * rng.uniform(0.7, 1.3)
                clicks = int(users * 6)
                yield Spend(
                    day=day,
                    channel=channel,
                    campaign=campaign,
                    amount=Decimal(round(users * _COST[channel] * 100)) / 100,
                    currency=_CURRENCY,
                    impressions=clicks * 35 + rng.randrange(100),
                    clicks=clicks,
                )


def campaigns(history: History) -> Iterator[Campaign]:
    """The operations during the history. Their days are those of UTC."""
    a_day = history.events * DAY / (history.end - history.start)
    for operation in operations(history.start, history.end):
        yield Campaign(
            name=operation.name,
            kind=operation.kind,
            starts=_utc_day(operation.start),
            ends=_utc_day(operation.end - 1),
            comparison="others" if operation.kind == "sale" else "before",
            cost=Decimal(round(a_day * _OPERATION_COST[operation.kind])),
        )


def content(history: History) -> Iterator[ContentItem]:
    """The articles: those from before the history, and those that were published in it (once its records were read)."""
    library = history.population.library if history.population is not None else Library(history.start)
    for article in library.articles:
        yield ContentItem(
            item=article.article_id,
            title=f"On {article.section}, no. {article.article_id[1:]}",
            creator=article.author_id,
            published=datetime.fromtimestamp(article.published / 1000, UTC),
        )


def _days(history: History, zone: tzinfo) -> Iterator[date]:
    day = datetime.fromtimestamp(history.start / 1000, zone).date()
    last = datetime.fromtimestamp((history.end - 1) / 1000, zone).date()
    while day <= last:
        yield day
        day += timedelta(days=1)


def _utc_day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()
