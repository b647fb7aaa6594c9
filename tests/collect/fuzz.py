"""Requests at random to every endpoint of a front door, on a real broker: `python -m tests.collect.fuzz --requests N`.

Half of them are events that were spoilt (in their JSON, their packing, their headers), half are bytes that are hardly
HTTP. The door must answer or close each of them, stay up, log no traceback, keep its memory within bounds, and still
count exactly what it says that it took.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from collect.doors import Door

CONNECTIONS = 16
#: What the process may have at most, however many requests there were.
MEMORY = 400 << 20
PATHS = (
    "/v1/events", "/v1/events?dry_run=1", "/v1/events?sent=9", "/v1/batch", "/v1/track", "/v1/t",
    "/v1/projects/k/settings", "/sourceConfig/", "/batch/", "/e/", "/capture/", "/i/v0/e/", "/flags/",
    "/decide/", "/array/k/config", "/sa", "/sa.gif", "/com.snowplowanalytics.snowplow/tp2", "/i", "/2/httpapi",
    "/track", "/track/", "/engage", "/import", "/mp/collect", "/health", "/metrics", "/", "/..", "/%00",
    "/v1/pixel/track",
)  # fmt: skip
WORDS = (
    "event", "user_id", "anonymous_id", "ts", "properties", "event_id", "source", "bot", "$attributes",
    "$alias", "batch", "messageId", "userId", "anonymousId", "timestamp", "sentAt", "type", "traits",
    "context", "distinct_id", "api_key", "token", "$set", "data", "data_list", "events", "client_id",
    "insert_id", "time", "schema", "$identify", "look", "buy",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, 2**200, 1e308, 0.1, "", "null", "\x00", "é", "\U0001f600", "a" * 300, [], {}, [[]],
    "$device:x", "2026-01-01T00:00:00Z", "track", "identify", "alias", "page", "group",
)  # fmt: skip


BYTES = (b"\xff", b"\x00", b"\\ud800", b"[[[[", b"NaN", b"\r\n", b'"', b"\xef\xbb\xbf")


def value(rng: random.Random, depth: int = 0) -> Any:
    """A JSON value, of the words that protocols know."""
    kind = rng.random()
    if depth > 4 or kind < 0.5:
        return rng.choice(ODD) if rng.random() < 0.6 else rng.choice(WORDS)
    if kind < 0.7:
        return [value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(WORDS): value(rng, depth + 1) for _ in range(rng.randrange(6))}


def spoilt(rng: random.Random, data: bytes) -> bytes:
    """Bytes with some of them changed, cut out or doubled."""
    found = bytearray(data)
    for _ in range(rng.randrange(4)):
        if not found:
            break
        at = rng.randrange(len(found))
        match rng.randrange(4):
            case 0:
                found[at] = rng.randrange(256)
            case 1:
                del found[at : at + rng.randrange(1, 20)]
            case 2:
                found[at:at] = found[at : at + rng.randrange(1, 20)]
            case _:
                found[at:at] = rng.choice(
                    [b"\xff", b"\x00", b"\\ud800", b"[[[[", b"NaN", b"\r\n", b'"', b"\xef\xbb\xbf"]
                )
    return bytes(found)


def _recorded() -> list[tuple[str, str, bytes]]:
    """What real SDKs sent: method, target, body."""
    found = []
    for file in sorted((Path(__file__).parents[1] / "data" / "sdk").glob("*.jsonl")):
        for line in map(json.loads, file.read_text("utf-8").splitlines()):
            if "target" in line:
                found.append((line["method"], line["target"], line["body"].encode()))
    return found


RECORDED = _recorded()


def request(rng: random.Random, key: str, number: int) -> tuple[bytes, str]:
    """A request, and the id of its event if it is a good one."""
    now = int(time.time() * 1000)
    if rng.random() < 0.05:
        good = {"event": "look", "event_id": f"good-{number}", "user_id": f"u{number % 100}", "ts": now}
        body = json.dumps(good).encode()
        return _http("POST", "/v1/events", key, body, ""), f"good-{number}"
    if rng.random() < 0.4:
        method, target, body = rng.choice(RECORDED)
        if rng.random() < 0.7:
            body = body.replace(b'"wk"', b'"%s"' % key.encode())
            target = target.replace("wk", key)
        for _ in range(rng.randrange(3)):
            body = spoilt(rng, body)
        return _http(method, target, key, body, ""), ""
    path = rng.choice(PATHS)
    if rng.random() < 0.3:
        path += ("&" if "?" in path else "?") + rng.choice(
            ["data=", "e=pv&p=web&tv=x", "key=" + key, "%ff=%", "a&b=&=c"]
        )
    body = json.dumps(value(rng)).encode()
    if rng.random() < 0.2:
        body = b"\n".join(json.dumps(value(rng)).encode() for _ in range(rng.randrange(5)))
    if rng.random() < 0.3:
        body = rng.choice([b"data=", b"data_list=", b"json="]) + body
    if rng.random() < 0.5:
        body = spoilt(rng, body)
    coding = ""
    if rng.random() < 0.3:
        coding = rng.choice(["gzip", "deflate", "zstd", "br", "gzip,gzip", "\x80"])
        body = {"gzip": gzip.compress, "deflate": zlib.compress}.get(coding, bytes)(body)
        if rng.random() < 0.4:
            body = spoilt(rng, body)
    method = rng.choice(["POST"] * 6 + ["GET", "OPTIONS", "PUT", "HEAD", "DELETE"])
    whole = _http(method, path, key if rng.random() < 0.8 else "0" * 32, body, coding)
    if rng.random() < 0.15:
        whole = spoilt(rng, whole[:200]) + whole[200:]
    return whole, ""


def _http(method: str, path: str, key: str, body: bytes, coding: str) -> bytes:
    packed = f"Content-Encoding: {coding}\r\n".encode("latin-1") if coding else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n"
    )
    return head.encode() + packed + b"Connection: keep-alive\r\n\r\n" + body


async def ask(port: int, requests: Iterator[tuple[bytes, str]], said: Counter[str], taken: set[str]) -> None:
    """Send requests one after the other, on a connection as long as it lasts."""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    for whole, event_id in requests:
        for attempt in range(20):
            if writer is None or event_id:
                # What is left of a spoilt request must not be the head of a good one.
                if writer is not None:
                    writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert reader is not None
            try:
                writer.write(whole)
                async with asyncio.timeout(0.5 if not event_id else 20):
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0].strip()
                    if length and not whole.startswith(b"HEAD "):
                        await reader.readexactly(int(length))
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
                said["closed"] += 1
                writer.close()
                reader = writer = None
                if not event_id:
                    break
                continue
            status = head[9:12].decode("ascii", "replace")
            said[status] += 1
            if event_id and status == "200":
                taken.add(event_id)
            if event_id and status != "200":
                await asyncio.sleep(0.05 * attempt)
                continue
            break
    if writer is not None:
        writer.close()


def run(door: Door, count: int, seed: int) -> tuple[Counter[str], set[str]]:
    """So many requests; statuses, and the ids of the good events that were taken."""
    said: Counter[str] = Counter()
    taken: set[str] = set()

    def share(number: int) -> Iterator[tuple[bytes, str]]:
        rng = random.Random(seed * 1_000 + number)
        for n in range(number, count, CONNECTIONS):
            yield request(rng, door.key, n)

    async def all_of_them() -> None:
        await asyncio.gather(*(ask(door.port, share(n), said, taken) for n in range(CONNECTIONS)))

    asyncio.run(all_of_them())
    return said, taken


def check(door: Door, taken: set[str]) -> list[str]:
    """What is wrong after a run, in words."""
    wrong = []
    if door.process is None or door.process.poll() is not None:
        wrong.append("the door has ended")
        return wrong
    if "Traceback" in door.log:
        wrong.append(f"a traceback was logged: {door.log[-3_000:]}")
    if (health := door.ask("GET", "/health")).status != 200 or "requests" in health.data["problems"]:
        wrong.append(f"/health: {health.body.decode()}")
    if door.memory > MEMORY:
        wrong.append(f"it had {door.memory >> 20} MB")
    counted = Counter(f["event_id"] for f in door.accepted() if str(f["event_id"]).startswith("good-"))
    if counted != Counter(taken):
        wrong.append(f"{len(taken)} good events were taken, {counted.total()} are counted")
    return wrong


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        door = Door(Path(folder))
        try:
            door.start()
            began = time.monotonic()
            said, taken = run(door, given.requests, given.seed)
            took = time.monotonic() - began
            wrong = check(door, taken)
            print(f"{said.total():,} answers in {took:.0f} s: {dict(said.most_common())}")
            print(f"{len(taken):,} good events, each counted once; at most {door.memory >> 20} MB")
            for one in wrong:
                print(one)
        finally:
            door.close()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
