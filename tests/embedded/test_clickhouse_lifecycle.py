"""Starting, stopping and killing the embedded ClickHouse."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from embedded.waiting import runs, wait_until
from pipeline.embedded.child import free_port
from pipeline.embedded.clickhouse import EmbeddedClickHouse, environment_of
from pipeline.embedded.users import read_users
from pipeline.errors import UserError

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_embedded")]
ROOT = Path(__file__).resolve().parents[2]


async def connect(server: EmbeddedClickHouse) -> Any:
    return await clickhouse_connect.get_async_client(
        host=server.host, port=server.port, password=server.users["default"]
    )


async def test_data_survive_a_restart(tmp_path: Path) -> None:
    async with EmbeddedClickHouse(tmp_path) as server:
        client = await connect(server)
        await client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        await client.command("CREATE VIEW v AS SELECT sum(a) AS s FROM t")
        await client.insert("t", [[1], [2]], column_names=["a"])
        await client.close()
        port, pid = server.port, server.pid
    assert pid is not None
    assert not runs(pid)
    async with EmbeddedClickHouse(tmp_path, port) as server:
        assert (server.url, server.port_was_taken) == (f"http://127.0.0.1:{port}", False)
        client = await connect(server)
        assert await client.command("SELECT s FROM v") == 3
        await client.close()


async def test_acknowledged_rows_survive_kill_9(tmp_path: Path) -> None:
    server = EmbeddedClickHouse(tmp_path)
    await server.start()
    client = await connect(server)
    await client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    acknowledged = 0

    async def insert() -> None:
        nonlocal acknowledged
        for _ in range(100_000):
            await client.insert("t", [[i] for i in range(100)], column_names=["a"])
            acknowledged += 100

    inserting = asyncio.create_task(insert())
    async with asyncio.timeout(30):
        while acknowledged < 2000:
            await asyncio.sleep(0.01)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(OperationalError):
        await inserting
    await client.close()
    await server.stop()
    async with EmbeddedClickHouse(tmp_path) as again:
        client = await connect(again)
        # The insert under way may have been written without its acknowledgement, and whole.
        assert await client.command("SELECT count() FROM t") in (acknowledged, acknowledged + 100)
        await client.close()


async def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    async with EmbeddedClickHouse(tmp_path) as server:
        with pytest.raises(UserError) as caught:
            await EmbeddedClickHouse(tmp_path).start()
        assert str(caught.value) == (
            f"{tmp_path}/clickhouse is in use by another embedded ClickHouse (process {server.pid}):"
            " stop it or choose another folder"
        )


async def test_another_port_is_chosen_if_the_preferred_one_is_taken(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        async with EmbeddedClickHouse(tmp_path, taken) as server:
            assert server.port_was_taken
            assert server.port != taken
            client = await connect(server)
            assert await client.command("SELECT 1") == 1
            await client.close()


async def test_sigterm_lets_a_running_query_end(tmp_path: Path) -> None:
    server = EmbeddedClickHouse(tmp_path)
    await server.start()
    client, other = await connect(server), await connect(server)
    query = asyncio.create_task(client.command("SELECT sleep(2), 'done'"))
    async with asyncio.timeout(20):
        while await other.command("SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleep(2)%'") == 0:
            await asyncio.sleep(0.02)
    await other.close()
    port = server.port
    stopping = asyncio.create_task(server.stop())
    assert await query == ["0", "done"]
    await client.close()
    await stopping
    wait_until(lambda: free_port(port) == (port, False))


async def test_days_are_utc_and_files_stay_in_the_folder_whatever_the_variables_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    async with EmbeddedClickHouse(tmp_path) as server:
        client = await connect(server)
        assert await client.command("SELECT timezone(), toString(toDateTime(0))") == ["UTC", "1970-01-01 00:00:00"]
        # More than fits memory: it is sorted in files.
        query = "SELECT number FROM numbers(3000000) ORDER BY sipHash64(number) LIMIT 2000000, 1"
        settings = {"max_bytes_before_external_sort": 1 << 20, "max_bytes_ratio_before_external_sort": 0}
        assert await client.command(query, settings=settings) > 0
        await client.close()
        environment = Path(f"/proc/{server.pid}/environ").read_bytes().split(b"\0")
        assert b"TZ=UTC" in environment
        assert f"TMPDIR={tmp_path}/clickhouse/tmp".encode() in environment


def test_as_a_program(tmp_path: Path) -> None:
    def start(*options: str, env: Mapping[str, str] = environment_of(tmp_path / "data")) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.embedded.clickhouse", "--path", str(tmp_path / "data"), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, **env},
        )

    port, _ = free_port()
    with start("--port", str(port)) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert line.startswith("ClickHouse ")
        assert line.endswith(f" (embedded) on http://127.0.0.1:{port}, data in {tmp_path}/data\n")
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert server.stdout.read() == ""
    with start(env={"TZ": "Asia/Shanghai", "TMPDIR": "/tmp"}) as bare:
        assert bare.stdout is not None
        assert bare.stdout.read() == f"error: it is to be started with TMPDIR={tmp_path}/data/tmp TZ=UTC\n"
        assert bare.wait(20) == 2
    with start("--host", "0.0.0.0") as refused:
        assert refused.stdout is not None
        assert refused.stdout.read() == (
            "error: the embedded ClickHouse speaks without TLS: choose a loopback address, not 0.0.0.0\n"
        )
        assert refused.wait(20) == 2
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with start("--port", str(holder.getsockname()[1])) as late:
            assert late.wait(20) == 2


def test_queries_run_where_priorities_may_not_be_set(tmp_path: Path) -> None:
    port, _ = free_port()
    # As for anyone but root: without CAP_SYS_NICE (23), a process can't raise a priority it lowered.
    code = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 23, 0, 0, 0)
options = ["--path", {str(tmp_path / "data")!r}, "--port", "{port}"]
os.execv(sys.executable, [sys.executable, "-m", "pipeline.embedded.clickhouse", *options])
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
        env={**os.environ, **environment_of(tmp_path / "data")},
    ) as server:  # fmt: skip
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ClickHouse ")
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=port, password=read_users(tmp_path / "data.users")["default"]
        )
        assert client.command("SELECT count() FROM numbers(1000000) WHERE NOT ignore(sipHash64(number))") == 1_000_000
        client.close()
        server.terminate()
        assert server.wait(20) == 0


def test_the_server_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = f"""
import asyncio
from pathlib import Path
from pipeline.embedded.clickhouse import EmbeddedClickHouse, environment_of
async def main():
    server = EmbeddedClickHouse(Path({str(tmp_path)!r}))
    await server.start()
    print(server.pid, server.port, flush=True)
    await asyncio.sleep(100)
asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as parent:
        try:
            assert parent.stdout is not None
            pid, port = map(int, parent.stdout.readline().split())
            assert runs(pid)
        finally:
            parent.kill()
    wait_until(lambda: not runs(pid))
    wait_until(lambda: free_port(port) == (port, False))
