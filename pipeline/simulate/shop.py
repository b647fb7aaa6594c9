"""How people visit the shop of `schemas/plans/shop.yaml`: they look around, and a few of them buy."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.simulate.besides import (
    CHECKOUT,
    RANKING,
    accepted_invite,
    arrival,
    asked,
    chance_in,
    coupon_of,
    exposed,
    onboarding,
    reads,
    writes,
)
from pipeline.simulate.calendar import operation_at
from pipeline.simulate.visit import Step, Visit
from pipeline.simulate.world import ITEMS, PAYMENTS, SEARCHES, SIGN_UPS, TARGETS, StockItem, money
from schemas.duration import MINUTE

#: A visit ends here at the latest.
_MAX_LOOKS = 25
#: How much likelier the checkout is for those who take part in an operation.
_SALE = 1.2


def shop(visit: Visit) -> Iterator[Step]:
    """One visit: app_open, searches and product pages, perhaps a cart, perhaps an order."""
    yield 0, "app_open", ""
    rng, may, think = visit.rng, visit.may, visit.think
    if visit.person.invited_by is not None and visit.person.user_id is None:
        yield from sign_up(visit)
    yield from arrival(visit)
    if may("article_view"):
        yield from reads(visit)
    yield from writes(visit)
    cart: list[StockItem] = []
    for _ in range(_MAX_LOOKS):
        if may("search"):
            yield from exposed(visit, RANKING)
            yield think(), "search", SEARCHES[rng.getrandbits(3)]
        item = ITEMS[rng.getrandbits(10)]
        yield think(), "view_item", f',"properties":{{{item.view}}}'
        if may("share"):
            yield think(), "share", f',"properties":{{"item_id":"{item.item_id}","target":"{TARGETS.pick(rng)}"}}'
        if may("add_to_cart"):
            cart.append(item)
            put = f'"item_id":"{item.item_id}","quantity":1,"price":{money(item.cents)}'
            yield think(), "add_to_cart", f',"properties":{{{put}}}'
        if not may("look_on"):
            break
    if visit.person.user_id is None and may("sign_up"):
        yield from sign_up(visit)
        yield from onboarding(visit)
    if cart and rng.random() < _checkout_chance(visit):
        yield from _buy(visit, cart)


def sign_up(visit: Visit) -> Iterator[Step]:
    """An account is made, by invitation perhaps."""
    visit.sign_up()
    yield visit.think(), "sign_up", f',"properties":{{"method":"{SIGN_UPS.pick(visit.rng)}"}}'
    yield from accepted_invite(visit)


def _checkout_chance(visit: Visit) -> float:
    """Who takes part in the sale that runs is more determined."""
    chance = visit.chance("checkout")
    in_sale = visit.person.takes_part and visit.person.takes_part == operation_at(visit.scene.now).name
    return min(1.0, chance * _SALE) if in_sale else chance


def _buy(visit: Visit, cart: list[StockItem]) -> Iterator[Step]:
    """The checkout leaks at each step, on some platforms more than on others."""
    rng, may, think = visit.rng, visit.may, visit.think
    cents = sum(item.cents for item in cart)
    yield think(), "checkout", f',"properties":{{"items":{len(cart)},"amount":{money(cents)}}}'
    new = visit.person.user_id is None
    if new:
        if not may("sign_up_to_buy"):
            return
        yield from sign_up(visit)
    yield from exposed(visit, CHECKOUT)
    if rng.random() >= chance_in(visit, CHECKOUT, "pay"):
        return
    yield think(), "pay", f',"properties":{{"method":"{PAYMENTS.pick(rng)}"}}'
    if not may("purchase"):
        return
    order = f"o{rng.getrandbits(40):010x}"
    cents, coupon = _with_coupon(visit, cents)
    yield (
        think(),
        "purchase",
        f',"properties":{{"order_id":"{order}","amount":{money(cents)},"items":{len(cart)}{coupon}}}',
    )
    refunded = may("refund")
    if refunded:
        visit.later(visit.apart(), MINUTE + think() * 40, _refund(order, cents))
    if new:
        yield from onboarding(visit)
    yield from asked(visit, "badly" if refunded or visit.segment.platform == "web" else "well")


def _with_coupon(visit: Visit, cents: int) -> tuple[int, str]:
    """What is left to pay, and what the order says of it; in a sale those who take part use its coupon."""
    operation = operation_at(visit.scene.now)
    code = ""
    if visit.person.takes_part == operation.name and operation.kind == "sale":
        code, left = coupon_of(operation.name), cents * 8 // 10
    elif visit.rng.random() < 0.15:
        code, left = "AUTUMN10", cents * 9 // 10
    if not code:
        return cents, ""
    return left, f',"coupon":"{code}","discount":{money(cents - left)}'


def _refund(order: str, cents: int) -> Iterator[Step]:
    yield 0, "refund", f',"properties":{{"order_id":"{order}","amount":{money(-cents)}}}'
