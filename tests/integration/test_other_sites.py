"""Pages of other sites, in a real browser, against every port of the system: nothing is read and nothing is written.

The page even knows ClickHouse's password, which a real one doesn't: the guard of the servers has to be enough.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from dashboard.browser import Browser, chromium
from whole_system import Start, rows, until

from pipeline.alerts.bridge import Bridge
from pipeline.demo.system import System
from pipeline.files.sender import send
from pipeline.ingest.sent import Sent
from pipeline.settings import Settings
from schemas.plan_io import parse_plan

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_chromium")]

SECRET = "the-user-whom-nobody-may-read"
ALERT = json.dumps({"status": "firing", "alerts": [{"status": "firing", "labels": {"alertname": "forged"}}]})
#: Tries every way in which a page can send a request to an address, and says what it could read of the answers.
PAGE = """<!doctype html><title>Another site</title><body><script>
async function attack(target, body) {
  const read = [], wait = (thing, start) => new Promise(done => {
    for (const name of ['load', 'error', 'close', 'open', 'message']) thing.addEventListener(name, () => done(name));
    start(); setTimeout(() => done('nothing'), 700);
  });
  const types = ['text/plain', 'application/x-www-form-urlencoded', 'application/json'];
  for (const mode of ['no-cors', 'cors']) {
    for (const credentials of ['include', 'omit']) {
      for (const options of [{method: 'GET'}, ...types.map(type =>
             ({method: 'POST', body, headers: {'Content-Type': type}}))]) {
        try {
          const signal = AbortSignal.timeout(700);
          read.push(await (await fetch(target, {mode, credentials, signal, ...options})).text());
        } catch (error) { }
      }
    }
  }
  try { navigator.sendBeacon(target, body); } catch (error) { }
  for (const [tag, name] of [['script', 'src'], ['img', 'src'], ['iframe', 'src'], ['embed', 'src'], ['object', 'data'],
                             ['video', 'src']]) {
    const thing = document.createElement(tag);
    thing[name] = target;
    const how = await wait(thing, () => document.body.append(thing));
    if (tag === 'img' && how === 'load') read.push('an image');
    if (tag === 'script' && how === 'load') read.push('a script');
    try { if (thing.contentDocument) read.push(thing.contentDocument.body.innerText); } catch (error) { }
  }
  const link = document.createElement('link');
  link.rel = 'stylesheet'; link.href = target;
  if (await wait(link, () => document.head.append(link)) === 'load') read.push('a stylesheet');
  for (const kind of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
    const form = document.createElement('form'), frame = document.createElement('iframe');
    frame.name = 'f' + Math.random();
    form.action = target; form.method = 'POST'; form.enctype = kind; form.target = frame.name;
    form.innerHTML = '<input name="query"><input name="name">';
    form.children[0].value = body; form.children[1].value = 'x';
    document.body.append(frame, form);
    await wait(frame, () => form.submit());
    try { read.push(frame.contentDocument.body.innerText); } catch (error) { }
  }
  try {
    const socket = new WebSocket(target.replace('http', 'ws'));
    if (['open', 'message'].includes(await wait(socket, () => {}))) read.push('a socket');
  } catch (error) { }
  return read.filter(text => text !== '');
}
</script>"""


class Other(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def other_port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


async def topics(system: System) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=system.settings.kafka_bootstrap)
    await admin.start()
    try:
        return sorted(await admin.list_topics())
    finally:
        await admin.close()


async def test_nothing_is_read_and_nothing_is_written(
    start: Start, other_port: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system = await start(partitions=1)
    event = {"event_id": "e1", "event": "app_open", "user_id": SECRET, "ts": int(time.time() * 1000)}
    record = Sent(0, SECRET.encode(), json.dumps(event).encode())
    await send([record], kafka=system.settings.kafka_kwargs(), topic=system.settings.events_topic)

    async def stored() -> bool:
        return bool(await rows(system, f"SELECT 1 FROM events WHERE actor = '{SECRET}'"))

    await until(stored, "storing the event")
    plan = parse_plan("product: T\nevents: {pay: }\nalerting: {receivers: {paper: {print: true}}}\n")
    bridge = Bridge(Settings(), plan, "127.0.0.1", 0)
    await bridge.start()
    try:
        before = await topics(system)
        password = system.settings.clickhouse_password.get_secret_value()
        targets = [
            *(
                (f"{system.settings.clickhouse_url}/?user=default&password={password}&query={quote(sql)}", body)
                for sql, body in (
                    ("SELECT actor FROM streamgauge.events", ""),
                    ("CREATE TABLE stolen (a String) ENGINE = Memory", ""),
                    ("", f"INSERT INTO streamgauge.events_raw (stream, actor) VALUES ('x', '{SECRET}')"),
                )
            ),
            *((role.url + path, "x") for role, path in ((system.worker, "/live"), (system.archiver, "/metrics"))),
            (system.dashboard.url + "/set?lang=zh&theme=dark", "x"),
            (system.dashboard.url + "/part/funnel", "x"),
            (f"http://127.0.0.1:{bridge.port}/paper", ALERT),
            (f"http://{system.settings.kafka_bootstrap}/", "x" * 1000),
        ]
        # Another port, another name of the same machine, and another site.
        sites = [
            f"http://127.0.0.1:{other_port}",
            f"http://localhost:{other_port}",
            f"http://evil.example:{other_port}",
        ]

        def browse() -> list[tuple[str, str, list[str]]]:
            options = ["--host-resolver-rules=MAP *.example 127.0.0.1", "--allow-running-insecure-content"]
            with chromium(sites[0], *options) as browser:
                found = [
                    (site, target, attack(browser, site, target, body))
                    for site in sites
                    for target, body in targets[:-1]
                ]
                found.append((sites[0], targets[-1][0], attack(browser, sites[0], *targets[-1])))
                # A name that was made to point here, with the page of its own "server": the same origin.
                for target, body in targets[:-1]:
                    port = target.split(":")[2].split("/")[0]
                    rebound = f"http://127.0.0.1.evil.example:{port}"
                    browser.driver.get(rebound + "/ping")
                    inner = rebound + "/" + target.split("/", 3)[3]
                    browser.driver.execute_script(
                        PAGE.split("<script>")[1].split("</script>")[0] + "; window.attack = attack"
                    )
                    found.append((rebound, target, run(browser, inner, body)))
                browser.driver.get(system.dashboard.url + "/health")
                assert {c["name"] for c in browser.driver.get_cookies()} & {"lang", "theme"} == set()
                return found

        for site, target, read in await asyncio.to_thread(browse):
            refusals = {text for text in read if "refused" in text or "is not called" in text}
            assert set(read) <= refusals, (site, target)
            assert SECRET not in "".join(read)
        assert await rows(system, "SELECT count() FROM system.tables WHERE name = 'stolen'") == [(0,)]
        assert await rows(system, "SELECT count() FROM events_raw") == [(1,)]
        assert await topics(system) == before
        live = await system.worker.ask("/live")
        assert live is not None
        assert live["totals"]["accepted"] == 1
        assert sum(live["totals"].values()) == 1
        assert "forged" not in capsys.readouterr().out
    finally:
        await bridge.stop()


def attack(browser: Browser, site: str, target: str, body: str) -> list[str]:
    browser.driver.get(site)
    return run(browser, target, body)


def run(browser: Browser, target: str, body: str) -> list[str]:
    script = "const done = arguments[2]; attack(arguments[0], arguments[1]).then(done, e => done(['failed: ' + e]))"
    browser.driver.set_script_timeout(120)
    found: list[str] = browser.driver.execute_async_script(script, target, body)
    return found
