"""The requests that change what is kept: forms of pages, and annotations by programs.

A browser's request must say that it comes from a page of ours (Origin, which the guard has compared with our name), on
the loopback address too; a program's must have the key.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from aiohttp import web

from pipeline.dashboard.context import Context
from pipeline.dashboard.edits import EDITS, Editing
from pipeline.dashboard.frame import note_bad
from pipeline.dashboard.keeping import Keeping
from pipeline.dashboard.pages.kept import conflict
from pipeline.errors import DependencyError, UserError
from pipeline.kept.store import ConflictError, Edit, KeptStore
from pipeline.kept.things import Kept, data_of, make
from pipeline.render.html import Safe, h, text
from pipeline.settings import Settings
from schemas.plan import Plan

#: Who it was that came with the key.
BY_KEY: Final = "key"
#: Fields of a request to the API.
_OF_ANNOTATION: Final = ("at", "text", "kind", "id")


class Changing:
    """Takes changes. `page` draws a page of the dashboard: what it is called, its body, a status."""

    def __init__(self, settings: Settings, plan: Plan, keeping: Keeping) -> None:
        self._settings, self._plan, self._keeping = settings, plan, keeping

    def has_key(self, request: web.Request) -> bool:
        """Whether a program has shown the key."""
        key = self._settings.kept_key
        given = request.headers.get("Authorization", "")
        return key is not None and hmac.compare_digest(
            given.encode(errors="replace"), f"Bearer {key.get_secret_value()}".encode()
        )

    async def form(
        self, request: web.Request, context: Context, fields: dict[str, str],
        page: Callable[[Context, Safe, int], web.Response],
    ) -> web.Response:  # fmt: skip
        """The answer to a form: to what was changed, or why it was not."""
        action = request.match_info["action"]
        if action not in EDITS:
            raise web.HTTPNotFound
        store = self._keeping.writer
        if store is None:
            return page(context, note_bad(context.t("Keeping things is off.")), 403)
        if "Origin" not in request.headers or not context.kept.may_change:
            said = context.t("You may look, and not change anything.")
            return page(context, note_bad(said), 403)
        to = ""

        def edits(kept: Kept) -> list[Edit]:
            nonlocal to
            editing = Editing(fields, kept, self._plan, context.today, known, context.settings.dashboard_people)
            done = EDITS[action](editing)
            to = done.to
            return list(done.edits)

        kind, id_ = fields.get("kind", ""), fields.get("id", "")
        past = await asyncio.to_thread(store.history, kind, id_) if action == "restore" else []  # type: ignore[arg-type]

        def known(_: object, __: object) -> list[Any]:
            return past

        try:
            await asyncio.to_thread(store.change, edits, _plain(context.user), context.now)
        except ConflictError as exc:
            fresh = replace(context, now=int(time.time() * 1000))
            return page(fresh, conflict(fresh, action, fields, exc.number, exc.who, exc.at), 409)
        except UserError as exc:
            back = h("p", context.t("Go back, and mend it: what you typed is still there."))
            return page(context, text(note_bad(context.t.said(exc)), back), 400)
        except DependencyError as exc:
            return page(context, note_bad(context.t.said(exc)), 503)
        return web.Response(status=303, headers={"Location": to})

    async def annotations(self, context: Context) -> web.Response:
        """All annotations, the plan's too, the newest first."""
        zone = self._plan.zone
        found = [(one.moment(zone), {**data_of(one), "from": "plan"}) for one in self._plan.annotations]
        for entry in context.kept.now.annotations.values():
            more = {"id": entry.id, "from": entry.owner, "version": entry.number}
            found.append((entry.value.moment(zone), {**data_of(entry.value), **more}))
        found.sort(key=lambda one: -one[0])
        return web.json_response(
            {"annotations": [{"kind": "release", **data, "ts": at} for at, data in found]},
            dumps=lambda data: json.dumps(data, ensure_ascii=False),
        )

    async def annotate(
        self, request: web.Request, context: Context, fields: Callable[[bytes], Mapping[str, str]]
    ) -> web.Response:
        """Add an annotation: JSON or a form with `text`, and `at`, `kind`, `id`. The same id and content again is one."""
        store: KeptStore | None = self._keeping.writer
        if store is None:
            return _said(403, "keeping things is off: name a file in PIPELINE_KEPT")
        by_key = self.has_key(request)
        if not by_key and ("Origin" not in request.headers or not context.kept.may_change):
            return _said(403, "not with this login: send Authorization: Bearer and the key of PIPELINE_KEPT_KEY")
        made: list[tuple[int, str, int]] = []

        def edits(kept: Kept) -> list[Edit]:
            id_ = given.pop("id", "") or f"a{secrets.token_hex(5)}"
            value = make("annotation", given)
            entry = kept.annotations.get(id_)
            if entry is not None and entry.value == value:
                made.append((200, id_, entry.number))
                return []
            if entry is not None:
                raise ConflictError("annotation", id_, entry.number, entry.who, entry.at)
            # One that was removed comes back as its next version.
            before = kept.number("annotation", id_)
            made.append((201, id_, before + 1))
            return [Edit("annotation", id_, before, value)]

        try:
            given = _of_body(await request.read(), request.content_type, fields)
            given.setdefault("at", f"{self._now(context)}")
            await asyncio.to_thread(store.change, edits, BY_KEY if by_key else _plain(context.user), context.now)
        except ConflictError as exc:
            return _said(409, f"{exc}: there is another annotation {exc.id}")
        except UserError as exc:
            return _said(400, str(exc))
        except DependencyError as exc:
            return _said(503, str(exc))
        status, id_, number = made[0]
        return web.json_response({"id": id_, "version": number}, status=status)

    def _now(self, context: Context) -> str:
        from datetime import UTC, datetime

        return datetime.fromtimestamp(context.now // 1000, UTC).isoformat()


def _of_body(body: bytes, kind: str, fields: Callable[[bytes], Mapping[str, str]]) -> dict[str, str]:
    """The fields of a request. Raises UserError."""
    if kind != "application/json":
        found: Any = dict(fields(body))
    else:
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise UserError("the body is no JSON") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UserError('write {"text": "App 2.4 is out", "kind": "release"}, with at and id if you like')
    if odd := [name for name in found if name not in _OF_ANNOTATION]:
        raise UserError(
            "{name} is no field: there are {known}", name=repr(odd[0][:60]), known=", ".join(_OF_ANNOTATION)
        )
    return {name: value for name, value in found.items() if value != ""}


def _plain(user: str) -> str:
    """A name that can stand in a line: a proxy's header may hold anything."""
    return "".join(character for character in user if character.isprintable())[:100]


def _said(status: int, line: str) -> web.Response:
    return web.json_response({"error": line}, status=status)
