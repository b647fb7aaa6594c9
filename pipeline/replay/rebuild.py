"""The command `streamgauge rebuild`: files of the past into ClickHouse, and live windows computed there by SQL."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence

from pipeline.archiver.load import HISTORY, batches, insert, numbered
from pipeline.clickhouse.client import Connection, connect
from pipeline.errors import UserError
from pipeline.files.reader import BadLineError, FileEvent, Reading, open_file, read_events
from pipeline.progress import progress_bar
from pipeline.queries.rebuild import rebuild
from pipeline.settings import STREAM_NAME, Settings
from pipeline.terminal import print_json, say
from schemas.event import LATEST_TS
from schemas.plan import Plan
from schemas.translatable import ENGLISH, Speech

#: Lines that are printed because they are no events; all are counted.
_MAX_SHOWN = 100
#: Where the stream stands once everything is stored: all has been counted, by nobody's clock.
_STANDS = """
INSERT INTO live_partition_raw (stream, partition, version, watermark, lateness_ms, accepted, late, duplicate, rejected,
    moved, repeated, links, updated_at, active_1m, active_5m, active_30m)
SELECT {stream:String}, 0, greatest(max(offset),
        (SELECT max(offset) FROM duplicates_raw WHERE stream = {stream:String}),
        (SELECT max(offset) FROM rejected_raw WHERE stream = {stream:String})) + 1, max(ts), 0, count(), 0,
    (SELECT count() FROM duplicates_raw FINAL WHERE stream = {stream:String} AND outcome = 'duplicate'),
    (SELECT count() FROM rejected_raw FINAL WHERE stream = {stream:String}), 0, 0, 0, now64(3), 0, 0, 0
FROM events_raw FINAL WHERE stream = {stream:String}"""


async def rebuild_files(
    settings: Settings, plan: Plan, files: Sequence[str], reading: Reading, stream: str | None, as_json: bool, *,
    skip_bad: bool = False, again: bool = False, t: Speech = ENGLISH,
) -> int:  # fmt: skip
    """Store the events of files as a stream of their own, if there are files, and compute the stream's live windows.

    Without files they are those of a stream that is stored. 1 if lines were left out, else 0. Raises UserError for a
    line that is no event unless `skip_bad`, for a stream that has events unless `again`; DependencyError.
    """
    own = settings.model_copy(update={"stream": stream or (HISTORY if files else settings.stream)})
    if not re.fullmatch(STREAM_NAME, own.stream):
        raise UserError("--stream {stream} is not a name: letters, digits, . _ -", stream=repr(own.stream))
    counted_live = own.stream == settings.stream or await _is_of_a_topic(own)
    if files and counted_live:
        raise UserError(
            "the stream {stream} is that of Kafka's log: give files another, with --stream", stream=own.stream
        )
    loaded = _Loaded(skip_bad, again, t)
    if files:
        await _load(own, plan, files, reading, loaded, t)
    begun = time.monotonic()
    with progress_bar(t("computing windows"), loaded.events or None) as show:
        found = await rebuild(own, plan, whole=not counted_live, progress=show)
    seconds = time.monotonic() - begun
    if as_json:
        print_json({
            "stream": own.stream, "files": list(files), "events": loaded.events, "rejected": loaded.rejected,
            "bad_lines": loaded.bad, "load_seconds": round(loaded.seconds, 3), "windows": found.windows,
            "funnels": found.funnels, "rebuild_seconds": round(seconds, 3), "without_times": found.untimed,
            "not_computed": None if found.removed is None else str(found.removed),
        })  # fmt: skip
        return 1 if loaded.bad or loaded.rejected else 0
    if files:
        speed = loaded.events / max(loaded.seconds, 1e-3)
        say(t("{events} events stored as the stream {stream} in {seconds} s ({speed}/s)", events=f"{loaded.events:,}",
              stream=own.stream, seconds=f"{loaded.seconds:.1f}", speed=f"{speed:,.0f}"))  # fmt: skip
        if loaded.bad:
            say(t("{n} lines were left out: they are no events", n=f"{loaded.bad:,}"))
        if loaded.rejected:
            say(t("{n} don't fit the plan: see `streamgauge rejected`", n=f"{loaded.rejected:,}"))
    say(t("{windows} windows and {funnels} rows of funnels computed in {seconds} s", windows=f"{found.windows:,}",
          funnels=f"{found.funnels:,}", seconds=f"{seconds:.1f}"))  # fmt: skip
    if found.removed is not None:
        say(t("not computed: {why}", why=t.said(found.removed)))
    for name in found.untimed:
        say(t("the funnel {name} has no times between its steps: SQL doesn't know them under strict_once", name=name))
    return 1 if loaded.bad or loaded.rejected else 0


async def _is_of_a_topic(settings: Settings) -> bool:
    """Whether a worker or an archiver has said of which topic the stream is: others than those of the settings may."""
    connection = Connection(settings)
    try:
        named = {"stream": settings.stream}
        rows = await connection.query("SELECT count() FROM topics_raw WHERE stream = {stream:String}", named)
        return bool(rows[0][0])
    finally:
        await connection.close()


class _Loaded:
    """What came of the files so far."""

    def __init__(self, skip_bad: bool, again: bool, t: Speech) -> None:
        self._skip_bad, self.again, self._t = skip_bad, again, t
        self.events = self.bad = self.rejected = 0
        self.seconds = 0.0

    def read(self, files: Sequence[str], reading: Reading) -> Iterator[FileEvent]:
        """The events of the files."""
        for file in files:
            yield from read_events(file, reading, on_bad=self._skip if self._skip_bad else None)

    def _skip(self, problem: BadLineError) -> None:
        self.bad += 1
        if self.bad <= _MAX_SHOWN:
            say(self._t.said(problem), file=sys.stderr)


async def _load(
    settings: Settings, plan: Plan, files: Sequence[str], reading: Reading, loaded: _Loaded, t: Speech
) -> None:
    for file in files:
        if file != "-":
            with open_file(file, reading.given):
                pass
    connection = Connection(settings)
    client = await connect(settings)
    named = {"stream": settings.stream}
    try:
        ((known,),) = await connection.query(
            "SELECT count() FROM events_raw FINAL WHERE stream = {stream:String}", named
        )
        if known and not loaded.again:
            raise UserError(
                "the stream {stream} has {n} events already: if they are of these files, --again stores them anew, "
                "else --stream names another",
                stream=settings.stream, n=f"{known:,}",
            )  # fmt: skip
        begun = time.monotonic()
        # Nothing of the past is late: its windows are computed when all of it is there.
        anytime = plan.model_copy(update={"lateness": LATEST_TS})
        # As if they were written now: all that they tell of has happened.
        records = numbered(loaded.read(files, reading), int(time.time() * 1000))
        made = batches(anytime, records, settings.stream, keep_rejected=True)
        with progress_bar(t("storing events"), None) as show:
            loaded.events = await insert(client, made, show)
        loaded.seconds = time.monotonic() - begun
        rows = await connection.query(
            "SELECT (SELECT count() FROM events_raw FINAL WHERE stream = {stream:String}), "
            "(SELECT count() FROM rejected_raw FINAL WHERE stream = {stream:String})",
            named,
        )
        stored, loaded.rejected = rows[0]
        if stored != loaded.events:
            raise UserError(
                "the stream {stream} has {stored} events, of which these files have {events}: delete the stream "
                "(`ALTER TABLE events_raw DELETE WHERE stream = '{stream}'`), and store them anew",
                stream=settings.stream, stored=stored, events=loaded.events,
            )  # fmt: skip
        if not stored:
            raise UserError(
                "no line of the files is an event of the plan ({n} rejected): see `streamgauge rejected`",
                n=f"{loaded.rejected:,}",
            )  # fmt: skip
        await connection.run(lambda client: client.command(_STANDS, parameters=named))
    finally:
        await client.close()
        await connection.close()
