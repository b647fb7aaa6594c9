"""The web server of the dashboard: pages, their parts, the stream of live figures, the login."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web

from pipeline.alerts.prometheus import AlertWatch
from pipeline.clickhouse.questions import Store, StoreError
from pipeline.dashboard.auth import COOKIE, SESSION_SECONDS, Auth
from pipeline.dashboard.bundle import VERSION, Bundle
from pipeline.dashboard.changing import Changing
from pipeline.dashboard.context import Context, Page
from pipeline.dashboard.edits import EDITS
from pipeline.dashboard.frame import document, login, not_found, note_bad, problem
from pipeline.dashboard.keeping import Keeping
from pipeline.dashboard.live import LiveReader
from pipeline.dashboard.pages import ABOUT_PEOPLE, DOWNLOADS, PAGES, PARTS, fragments
from pipeline.dashboard.pages.kept import after_login
from pipeline.errors import UserError
from pipeline.kept.things import MAX_PARAMETERS
from pipeline.process import address, cancelled
from pipeline.render.html import Safe
from pipeline.render.language import CODES, Language, choose
from pipeline.serve import guard
from pipeline.serve.answers import about
from pipeline.serve.feed import EventStream
from pipeline.settings import Settings
from schemas.plan import Plan
from schemas.translatable import Foreign

log = logging.getLogger(__name__)

_HERE: Final = Path(__file__).parent
_STATIC: Final = (*(_HERE / "static").iterdir(), _HERE.parent / "render" / "style.css")
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_YEAR: Final = 365 * 86_400
#: Browsers that can hold a stream of live figures at a time.
MAX_STREAMS: Final = 200
_HEADERS: Final = {
    # No file from anywhere else, and nobody frames us: the browser sees to it.
    "Content-Security-Policy": (
        "default-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
#: Fields of the login's form: where to after it, and a form that was sent without a login: its end, what was typed.
_TO, _ACTION, _TYPED = "to", "action", "typed."
#: Characters of an address that goes along with the login; fields of a form.
_MOST_ADDRESS, _MOST_FIELDS = 6_000, 60
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Dashboard:
    """Serves the pages until stopped. Raises UserError for settings that would leave it open."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings, self.plan = settings, plan
        self._auth = Auth(settings)
        hidden = frozenset() if settings.dashboard_people else ABOUT_PEOPLE
        self._pages = tuple(page for page in PAGES if page.path not in hidden)
        self._parts = {name: part for name, part in PARTS.items() if name not in hidden}
        self._downloads = {name: make for name, make in DOWNLOADS.items() if name not in hidden}
        self._live = LiveReader(settings.dashboard_workers.split(","))
        self._store = Store(settings)
        self._keeping = Keeping(settings, plan)
        self._changing = Changing(settings, plan, self._keeping)
        self._alerts = AlertWatch(settings.prometheus_url)
        self._files = {path.name: path.read_bytes() for path in _STATIC if path.suffix in _TYPES}
        self._assets = hashlib.sha256(b"".join([*self._files.values(), VERSION.encode()])).hexdigest()[:12]
        self._bundle = Bundle()
        self._drawn: dict[tuple[int, str, str, str], dict[str, str]] = {}
        self._runner: web.AppRunner | None = None
        self._reader: asyncio.Task[None] | None = None
        self._streams = EventStream(MAX_STREAMS)
        self.port = settings.dashboard_port

    async def start(self) -> None:
        """Listen and read the workers. With port 0 any free port is taken; `port` says which."""
        door = guard.door(
            self.settings.dashboard_host,
            self.settings.allowed_hosts,
            links=True,
            # With a login a name that was made to point here gets nothing: its pages have no session.
            any_name=not self._auth.open and not self.settings.allowed_hosts,
        )
        app = web.Application(client_max_size=64 * 1024, middlewares=[guard.middleware(door), self._guard])
        for page in self._pages:
            app.router.add_get(page.path, self._page)
        app.router.add_get("/part/{name}", self._part)
        app.router.add_get("/download/{name}", self._download)
        app.router.add_post("/kept/{action}", self._change)
        app.router.add_get("/api/annotations", self._annotations)
        app.router.add_post("/api/annotations", self._annotate)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/static/vega.js", self._vega)
        app.router.add_get("/static/{file}", self._static)
        app.router.add_get("/favicon.ico", self._icon)
        app.router.add_get("/set", self._set)
        app.router.add_get("/health", self._health)
        app.router.add_get("/login", self._login)
        app.router.add_post("/login", self._log_in)
        app.router.add_post("/logout", self._log_out)
        self._runner = guard.Runner(app, shutdown_timeout=2.0, handler_cancellation=True)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.settings.dashboard_host, self.settings.dashboard_port).start()
        except OSError as exc:
            await self._runner.cleanup()
            raise UserError(
                "{address} can't be listened on ({why}): set {setting} to a free port, or to 0 for any",
                address=address(self.settings.dashboard_host, self.settings.dashboard_port),
                why=Foreign(exc.strerror),
                setting="PIPELINE_DASHBOARD_PORT",
            ) from None
        self.port = self._runner.addresses[0][1]
        self._reader = asyncio.create_task(self._read(), name="reader of workers and alerts")

    async def _read(self) -> None:
        await asyncio.gather(self._live.run(), self._alerts.run())

    async def wait(self) -> None:
        """Returns never; raises what ended the reading of the workers."""
        assert self._reader is not None
        await asyncio.shield(self._reader)

    async def stop(self) -> None:
        """End the streams, free the port, close the connection."""
        self._streams.close()
        if self._reader is not None:
            await cancelled(self._reader)
        if self._runner is not None:
            await self._runner.cleanup()
        await self._bundle.stop()
        await self._store.close()
        self._keeping.close()

    # --- who may, and with which headers ---

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await self._guarded(request, handler)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        free = request.path in ("/login", "/health", "/set", "/favicon.ico") or request.path.startswith("/static/")
        free = free or (request.path == "/api/annotations" and self._changing.has_key(request))
        if not free and self._user(request) is None:
            if not self._auth.by_password:
                return web.Response(status=403, text="the proxy in front of this page did not say who you are\n")
            if request.path.startswith(("/part/", "/stream", "/download/", "/api/")):
                return web.Response(status=401)
            return await self._log_in_first(request)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _page(not_found(self._context(request), self._assets), status=404)

    async def _log_in_first(self, request: web.Request) -> web.Response:
        """To the login. What was typed into a form goes along, and is given back after it."""
        action = request.match_info.get("action")
        if request.method == "POST" and action in EDITS and "Origin" in request.headers:
            typed = {f"{_TYPED}{name}": value for name, value in _form(await request.read()).items()}
            hidden = {_ACTION: action, **typed}
            return _page(login(self._context(request), self._assets, hidden, typed=True), status=401)
        address = urlencode({_TO: _own(request.path_qs)})
        known = request.query_string and len(address) < _MOST_ADDRESS
        return web.Response(status=303, headers={"Location": f"/login?{address}" if known else "/login"})

    def _user(self, request: web.Request) -> str | None:
        return self._auth.user(request.cookies.get(COOKIE), request.headers.get, request.remote)

    def _context(self, request: web.Request, user: str | None = None) -> Context:
        theme = request.cookies.get("theme", "auto")
        user = user or self._user(request) or ""
        kept, plan = self._keeping.view(user)
        return Context(
            Language(choose(request.cookies.get("lang"), request.headers.get("Accept-Language"))),
            plan, self.settings, self._live, self._store, self._alerts, int(time.time() * 1000), request.path,
            {name: value[:2_000] for name, value in request.query.items()},
            theme if theme in ("auto", "light", "dark") else "auto",
            user, can_log_out=bool(user) and self._auth.by_password, kept=kept,
        )  # fmt: skip

    # --- pages ---

    async def _page(self, request: web.Request) -> web.Response:
        self._bundle.begin()  # its parts will have charts
        page = next(page for page in self._pages if page.path == request.path)
        return _page(document(self._context(request), self._pages, page, self._assets))

    async def _part(self, request: web.Request) -> web.Response:
        part = self._parts.get(request.match_info["name"])
        if part is None:
            raise web.HTTPNotFound
        context = self._context(request)
        try:
            return _page(await part(context))
        except StoreError as exc:
            return _page(problem(context.t, exc, self.settings.clickhouse_url))
        except UserError as exc:
            return _page(note_bad(context.t.said(exc)))

    async def _change(self, request: web.Request) -> web.Response:
        context = replace(self._context(request), path="/kept")
        return await self._changing.form(request, context, _form(await request.read()), self._said)

    def _said(self, context: Context, content: Safe, status: int) -> web.Response:
        page = Page(context.path, "Not stored", lambda _: content)
        return _page(document(context, self._pages, page, self._assets), status=status)

    async def _annotations(self, request: web.Request) -> web.Response:
        return await self._changing.annotations(self._context(request))

    async def _annotate(self, request: web.Request) -> web.Response:
        return await self._changing.annotate(request, self._context(request), _form)

    async def _download(self, request: web.Request) -> web.Response:
        make = self._downloads.get(request.match_info["name"])
        if make is None:
            raise web.HTTPNotFound
        context = self._context(request)
        try:
            name, kind, body = await make(context)
        except StoreError as exc:
            return web.Response(status=503, text=f"{exc.detail}\n")
        except UserError as exc:
            return web.Response(status=400, text=f"{context.t.said(exc)}\n")
        return web.Response(
            body=body, content_type=kind, charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )  # fmt: skip

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: of each reading what has changed on that page, as {place: HTML}."""
        changes = self._changes(self._context(request), request.query.get("page", "/"))
        return await self._streams.answer(request, changes, _HEADERS)

    async def _changes(self, context: Context, page: str) -> AsyncGenerator[str, None]:
        self._live.watch(1)
        try:
            sent: dict[str, str] = {}
            seen = -1 if self._live.readings else 0
            while True:
                seen = await self._live.changes(seen)
                now = self._fragments(context, page, seen)
                changed = {key: value for key, value in now.items() if sent.get(key) != value}
                # An empty message too: the browser knows by it that we are there.
                yield f"data: {json.dumps(changed, ensure_ascii=False)}\n\n"
                sent = now
        finally:
            self._live.watch(-1)

    def _fragments(self, context: Context, page: str, reading: int) -> dict[str, str]:
        """Drawn once for all browsers of a language."""
        key = (reading, page, context.t.code, context.query.get("funnel", ""))
        if key not in self._drawn:
            if len(self._drawn) > 50:
                self._drawn.clear()
            self._drawn[key] = fragments(replace(context, now=int(time.time() * 1000), path=page), page)
        return self._drawn[key]

    # --- the rest ---

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in self._files:
            raise web.HTTPNotFound
        # The address holds a hash of the content: it never changes under it.
        return web.Response(
            body=self._files[name], content_type=_TYPES[Path(name).suffix], charset="utf-8",
            headers={"Cache-Control": f"public, max-age={_YEAR}, immutable"},
        )  # fmt: skip

    async def _vega(self, request: web.Request) -> web.Response:
        try:
            packed = await self._bundle.script()
        except OSError as exc:
            log.error("%s", exc)
            return web.Response(status=503, text="the charts can't be drawn\n")
        headers = {"Cache-Control": f"public, max-age={_YEAR}, immutable", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("Accept-Encoding", ""):
            return web.Response(
                body=gzip.decompress(packed), content_type=_TYPES[".js"], charset="utf-8", headers=headers
            )
        headers["Content-Encoding"] = "gzip"
        return web.Response(body=packed, content_type=_TYPES[".js"], charset="utf-8", headers=headers)

    async def _icon(self, _: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": f"/static/icon.svg?{self._assets}"})

    async def _set(self, request: web.Request) -> web.Response:
        if request.headers.get("Sec-Fetch-Site") not in (None, "same-origin", "none"):
            # A link of another page may show a page, not change how it looks from now on.
            return web.Response(status=403, text="links of other sites set nothing\n")
        response = web.Response(status=303, headers={"Location": _own(request.query.get("back", "/"))})
        for name, allowed in (("lang", CODES), ("theme", ("auto", "light", "dark"))):
            if (value := request.query.get(name)) in allowed:
                response.set_cookie(name, str(value), max_age=_YEAR, samesite="Lax", httponly=True)
        return response

    async def _health(self, _: web.Request) -> web.Response:
        problems = dict(self._live.failing)
        if self._store.problem is not None:
            problems["clickhouse"] = self._store.problem.kind
        if self._keeping.problem:
            problems["kept"] = self._keeping.problem
        if self._alerts.problem:
            problems["prometheus"] = self._alerts.problem
        # Pages say what is away: that is no reason to take them out of service.
        return web.json_response({"role": "dashboard", "ready": True, "problems": problems, **about(self.plan)})

    async def _login(self, request: web.Request) -> web.Response:
        if not self._auth.by_password:
            return web.Response(status=303, headers={"Location": "/"})
        hidden = {_TO: request.query[_TO]} if _TO in request.query else {}
        return _page(login(self._context(request), self._assets, hidden, wrong="wrong" in request.query))

    async def _log_in(self, request: web.Request) -> web.Response:
        form = _form(await request.read())
        hidden = {key: value for key, value in form.items() if key in (_TO, _ACTION) or key.startswith(_TYPED)}
        name, password = form.get("name", "")[:64], form.get("password", "")[:1000]
        # The hash takes a while by design: the live figures of others must not wait for it.
        cookie = await asyncio.to_thread(self._auth.log_in, name, password) if self._auth.by_password else None
        if cookie is None:
            log.warning("a login failed from %s", request.remote)
            if hidden:
                return _page(login(self._context(request), self._assets, hidden, wrong=True), status=401)
            return web.Response(status=303, headers={"Location": "/login?wrong"})
        response = web.Response(status=303, headers={"Location": _own(form.get(_TO, "/"))})
        if (action := form.get(_ACTION)) in EDITS:
            typed = {key.removeprefix(_TYPED): value for key, value in form.items() if key.startswith(_TYPED)}
            context = replace(self._context(request, name), path="/kept")
            response = self._said(context, after_login(context, action, typed), 200)
        secure = request.headers.get("X-Forwarded-Proto") == "https" or request.secure
        response.set_cookie(COOKIE, cookie, max_age=SESSION_SECONDS, httponly=True, samesite="Strict", secure=secure)
        return response

    async def _log_out(self, _: web.Request) -> web.Response:
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(COOKIE)
        return response


def _form(body: bytes) -> dict[str, str]:
    """The fields of our form, as browsers send it. Any other body has none, whatever its headers say that it is."""
    try:
        return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


def _own(address: str) -> str:
    """That address if it is one of our pages, else the first one."""
    try:
        parts = urlsplit(address)
        query = urlencode(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        return "/"
    if parts.scheme or parts.netloc or parts.path not in {"/login", *(page.path for page in PAGES)}:
        return "/"
    return parts.path + (f"?{query}" if query else "")


def _page(html: str, status: int = 200) -> web.Response:
    return web.Response(status=status, text=html, content_type="text/html", headers={"Cache-Control": "no-store"})
