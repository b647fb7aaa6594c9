"""`streamgauge import`: side tables from files, each row once, each mistake with its line."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from migrated import running
from whole_system import command

from pipeline.clickhouse.client import connect
from pipeline.clickhouse.migrate import migrate
from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.errors import UserError
from pipeline.files.side_tables import import_file
from pipeline.settings import Settings

SPEND = """\
day,channel,campaign,amount,currency,impressions,clicks
2026-11-01,ads,autumn-sale,120.50,EUR,10000,230
2026-11-01,email,,3,,,
2026-11-02,ads,autumn-sale,99.999999,EUR,8000,190
"""


@pytest.fixture(scope="module")
def server(needs_embedded: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    with running(tmp_path_factory.mktemp("sides")) as clickhouse:
        yield clickhouse


@pytest.fixture
async def settings(server: EmbeddedClickHouse, request: pytest.FixtureRequest) -> Settings:
    found = Settings(**server.access, clickhouse_database=f"sides{abs(hash(request.node.name))}")
    await migrate(found)
    return found


async def ask(settings: Settings, sql: str) -> list[Any]:
    client = await connect(settings)
    try:
        return [tuple(map(str, row)) for row in (await client.query(sql)).result_rows]
    finally:
        await client.close()


async def run(settings: Settings, kind: str, file: Path, text: str, mapping: str | None = None, **more: Any) -> int:
    file.write_text(text)
    return await import_file(settings, kind, str(file), mapping, as_json=False, **more)


async def test_importing_twice_changes_nothing_and_a_corrected_file_replaces(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [
        ("2026-11-01", "ads", "autumn-sale", "120.500000", "EUR", "10000", "230"),
        ("2026-11-01", "email", "", "3.000000", "", "0", "0"),
        ("2026-11-02", "ads", "autumn-sale", "99.999999", "EUR", "8000", "190"),
    ]
    for _ in range(2):
        assert await run(settings, "spend", tmp_path / "a.csv", SPEND) == 0
        assert await ask(settings, "SELECT * FROM spend ORDER BY day, channel") == expected
    assert capsys.readouterr().out.splitlines() == ["3 rows of spend imported"] * 2
    await run(settings, "spend", tmp_path / "a.csv", SPEND.replace("120.50", "118"))
    assert await ask(settings, "SELECT amount FROM spend WHERE channel = 'ads' ORDER BY day") == [
        ("118.000000",),
        ("99.999999",),
    ]


async def test_every_bad_row_is_one_line_with_its_number_and_the_good_ones_are_imported(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.csv"
    text = SPEND + (
        "2026-13-01,ads,x,1,EUR,,\n"
        "2026-11-03,ads,x,-5,euro,many,\n"
        "2026-11-03,,x,1.0000001,,,\n"
        "2026-11-02,ads,autumn-sale,7,EUR,,\n"
        "2026-11-03,ads,x,NaN,EUR,,\n"
        "2026-11-03,ads\n"
    )
    assert await run(settings, "spend", file, text) == 1
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        f"{file} line 5: day: input should be a valid date or datetime, month value is outside expected range of 1-12, "
        f"found '2026-13-01'",
        f"{file} line 6: amount: input should be greater than or equal to 0, found '-5'; currency: string should match "
        f"pattern '^([A-Z]{{3}})?$', found 'euro'; impressions: input should be a valid integer, unable to parse "
        f"string as an integer, found 'many'",
        f"{file} line 7: channel: is missing; amount: decimal input should have no more than 6 decimal places, found "
        f"'1.0000001'",
        f"{file} line 8: the same day, channel, campaign as line 4",
        f"{file} line 9: amount: input should be a finite number, found 'NaN'",
        f"{file} line 10: 2 cells, where the header has 7",
    ]
    assert out.splitlines()[0] == "3 rows of spend imported, 6 were wrong"
    assert await ask(settings, "SELECT count() FROM spend") == [("3",)]


async def test_json_lines_packed_with_names_of_their_own(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl.gz"
    rows = [
        {"id": "t1", "headline": "A walk", "creator": "u5", "published": "2026-11-01T08:00:00+02:00", "words": 900},
        {"id": "t2", "headline": None, "published": "2026-11-02T00:00:00Z"},
    ]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    done = await import_file(settings, "content", str(file), "item=id,title=headline", as_json=True, drop=True)
    assert done == 0
    assert await ask(settings, "SELECT item, title, creator, toString(published) FROM content_items ORDER BY item") == [
        ("t1", "A walk", "u5", "2026-11-01 06:00:00.000"),
        ("t2", "", "", "2026-11-02 00:00:00.000"),
    ]


async def test_campaigns_and_users(settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "name,kind,starts,ends,comparison\nsale,sale,2026-11-01,2026-11-03,before\nrun,,2026-11-05,2026-11-04,\n"
    assert await run(settings, "campaigns", tmp_path / "c.csv", text) == 1
    assert capsys.readouterr().err.endswith("line 3: it ends on 2026-11-04, before it starts\n")
    assert await ask(settings, "SELECT * FROM campaigns") == [
        ("sale", "sale", "2026-11-01", "2026-11-03", "before", "0.000000")
    ]
    assert await run(settings, "users", tmp_path / "u.csv", "actor,name,value\nu1,plan,gold\nu1,region,north\n") == 0
    assert await ask(settings, "SELECT * FROM user_attributes ORDER BY name") == [
        ("u1", "plan", "gold", "u1"),
        ("u1", "region", "north", "u1"),
    ]


@pytest.mark.parametrize(
    ("kind", "text", "mapping", "message"),
    [
        ("money", "", None, "there is no side table 'money': import one of spend, campaigns, content, users"),
        ("spend", "day,chanel,amount\n2026-11-01,ads,1\n", None, "there is no column 'chanel': did you mean channel?"),
        ("spend", SPEND, "cost=amount", "--map: there is no field 'cost': use day, channel"),
        ("spend", SPEND, "amount", "--map: 'amount' is not understood: write field=column"),
    ],
)
async def test_what_is_no_such_file_is_refused(
    settings: Settings, tmp_path: Path, kind: str, text: str, mapping: str | None, message: str
) -> None:
    with pytest.raises(UserError) as raised:
        await run(settings, kind, tmp_path / "a.csv", text, mapping)
    assert str(raised.value).startswith(message)


def test_the_command(server: EmbeddedClickHouse, tmp_path: Path) -> None:
    settings = Settings(**server.access, clickhouse_database="sides_command")
    asyncio.run(migrate(settings))
    file = tmp_path / "spend.csv"
    file.write_text(SPEND)
    env = {**server.environment, "PIPELINE_CLICKHOUSE_DATABASE": "sides_command"}
    done = command("import", "spend", str(file), "--json", env=env)
    assert json.loads(done.stdout) == {"table": "spend", "rows": 3, "bad": 0, "problems": []}
    assert done.returncode == 0
    assert command("import", "spend", "missing.csv", env=env).stderr == (
        "streamgauge: missing.csv can't be read: No such file or directory\n"
    )
