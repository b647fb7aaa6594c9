"""Which plan the catalogue's views were made of: the database knows, so that no other plan's views answer unnoticed.

The view `installed_plan` holds the product's name and a fingerprint of the fact views, which are all that the plan
decides in the catalogue: a new event or alert changes nothing there, another meaning or time zone does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from pipeline.errors import UserError
from pipeline.metrics.facts import View, facts, owners
from pipeline.queries.conditions import quoted
from schemas.plan import Plan

#: The question; its rows go to `difference`.
INSTALLED: Final = "SELECT product, fingerprint FROM installed_plan"


def fingerprint(plan: Plan) -> str:
    """The same for two plans whose metrics read the events alike."""
    digest = hashlib.blake2b(digest_size=8)
    for view in (owners(aliases=plan.aliases), *facts(plan)):
        digest.update(f"{view.name}\0{view.sql}\0".encode())
    return digest.hexdigest()


def installed_view(plan: Plan) -> View:
    """The view that names the plan; to be made after all others."""
    sql = f"SELECT {quoted(plan.product)} AS product, {quoted(fingerprint(plan))} AS fingerprint"
    return View("installed_plan", "the plan that the views of the catalogue were made of", sql)


def difference(plan: Plan, rows: Sequence[Sequence[Any]], where: str) -> UserError | None:
    """What to do if the views at `where` are not those of `plan`, in one line; None if they are."""
    if not rows:
        return None
    product, installed = rows[0]
    if product != plan.product:
        return UserError(
            "the metrics in {where} are those of the plan {product}, not of {own}: "
            "give its plan with --plan (or PIPELINE_PLAN), or another ClickHouse or database",
            where=where, product=repr(product), own=repr(plan.product),
        )  # fmt: skip
    if installed != fingerprint(plan):
        return UserError(
            "the metrics in {where} were made of another version of the plan {product}: "
            "run `streamgauge migrate` with this plan, or give the one that is installed",
            where=where, product=repr(product),
        )  # fmt: skip
    return None
