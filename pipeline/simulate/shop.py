"""How people visit the shop of `schemas/plans/shop.yaml`: they look around, and a few of them buy."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.simulate.visit import Step, Visit
from pipeline.simulate.world import ITEMS, PAYMENTS, SEARCHES, SIGN_UPS, TARGETS, Item, money

#: A visit ends here at the latest.
_MAX_LOOKS = 25


def shop(visit: Visit) -> Iterator[Step]:
    """One visit: app_open, searches and product pages, perhaps a cart, perhaps an order."""
    yield 0, "app_open", ""
    rng, may, think = visit.rng, visit.may, visit.think
    cart: list[Item] = []
    for _ in range(_MAX_LOOKS):
        if may("search"):
            yield think(), "search", SEARCHES[rng.getrandbits(3)]
        item = ITEMS[rng.getrandbits(10)]
        yield think(), "view_item", f',"properties":{{{item.view}}}'
        if may("share"):
            yield think(), "share", f',"properties":{{"target":"{TARGETS.pick(rng)}"}}'
        if may("add_to_cart"):
            cart.append(item)
            put = f'"item_id":"{item.item_id}","quantity":1,"price":{money(item.cents)}'
            yield think(), "add_to_cart", f',"properties":{{{put}}}'
        if not may("look_on"):
            break
    if visit.person.user_id is None and may("sign_up"):
        yield from _sign_up(visit)
    if cart and may("checkout"):
        yield from _buy(visit, cart)


def _sign_up(visit: Visit) -> Iterator[Step]:
    visit.sign_up()
    yield visit.think(), "sign_up", f',"properties":{{"method":"{SIGN_UPS.pick(visit.rng)}"}}'


def _buy(visit: Visit, cart: list[Item]) -> Iterator[Step]:
    """The checkout leaks at each step, on some platforms more than on others."""
    rng, may, think = visit.rng, visit.may, visit.think
    cents = sum(item.cents for item in cart)
    yield think(), "checkout", f',"properties":{{"items":{len(cart)},"amount":{money(cents)}}}'
    if visit.person.user_id is None:
        if not may("sign_up_to_buy"):
            return
        yield from _sign_up(visit)
    if not may("pay"):
        return
    yield think(), "pay", f',"properties":{{"method":"{PAYMENTS.pick(rng)}"}}'
    if not may("purchase"):
        return
    order = f"o{rng.getrandbits(40):010x}"
    coupon = ""
    if rng.random() < 0.15:
        cents = cents * 9 // 10
        coupon = ',"coupon":"AUTUMN10"'
    yield (
        think(),
        "purchase",
        f',"properties":{{"order_id":"{order}","amount":{money(cents)},"items":{len(cart)}{coupon}}}',
    )
    if may("refund"):
        visit.later(visit.apart(), 60_000 + think() * 40, _refund(order, cents))


def _refund(order: str, cents: int) -> Iterator[Step]:
    yield 0, "refund", f',"properties":{{"order_id":"{order}","amount":{money(-cents)}}}'
