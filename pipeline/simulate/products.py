"""The products that can be simulated: which journeys their users make, and which events those need."""

from __future__ import annotations

from typing import Final, NamedTuple

from pipeline.simulate.reader import reader
from pipeline.simulate.shop import shop
from pipeline.simulate.visit import Journey
from schemas.plan import Plan

_COMMON: Final = frozenset(
    {
        "app_open", "sign_up", "share", "exposure", "invite_sent", "invite_accepted", "campaign_join", "coupon_claim",
        "onboarding_step", "survey_shown", "survey_answered", "ad_impression", "article_view", "article_read", "like",
        "comment", "publish",
    }
)  # fmt: skip


class Product(NamedTuple):
    """A product whose users are simulated."""

    name: str
    journeys: tuple[Journey, ...]
    events: frozenset[str]
    #: What goes wrong with it in the demo, but for since when.
    fault: str


SHOP: Final = Product(
    "shop",
    (shop,),
    _COMMON | {"search", "view_item", "add_to_cart", "checkout", "pay", "purchase", "refund"},
    "step=pay platform=android factor=0.2",
)
CONTENT: Final = Product(
    "content",
    (reader,),
    _COMMON | {"follow", "paywall", "subscribe", "unsubscribe"},
    "step=article_read platform=android factor=0.5",
)


def product_of(plan: Plan) -> Product | None:
    """The product whose simulated events this plan knows, None if it knows none of them."""
    return next((product for product in (SHOP, CONTENT) if product.events <= plan.events.keys()), None)
