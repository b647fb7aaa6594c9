"""ClickHouse's HTTP interface, as curl and other plain clients use it."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import subprocess
import zlib
from collections import Counter
from typing import NamedTuple

import aiohttp
import pytest
from backports import zstd

from pipeline.embedded.clickhouse import EmbeddedClickHouse

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("needs_curl")]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str


def curl(url: str, *options: str, data: bytes | None = None) -> Answer:
    """Run the real curl. `data` is its body (then it is a POST)."""
    command = ["curl", "--silent", "--show-error", "--max-time", "30", "--include", *options, url]
    if data is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run(command, input=data, capture_output=True, check=True, timeout=60)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(status.split()[1]), headers, body.decode())


@pytest.fixture
def url(server: EmbeddedClickHouse) -> str:
    """The server's address, with the user that may write."""
    return f"http://default:{server.users['default']}@{server.host}:{server.port}"


def test_ping(url: str) -> None:
    assert curl(f"{url}/ping")[::2] == (200, "Ok.\n")
    assert curl(url)[::2] == (200, "Ok.\n")
    assert curl(f"{url}/no/such/page").status == 404


def test_a_query_in_the_url_the_body_or_both(url: str) -> None:
    assert curl(f"{url}/?query=SELECT%201")[::2] == (200, "1\n")
    assert curl(url, data=b"SELECT 1 FORMAT CSVWithNames").body == '"1"\n1\n'
    assert curl(f"{url}/?query=SELECT%20number%20FROM", data=b"numbers(2)").body == "0\n1\n"
    assert curl(f"{url}/?default_format=JSONEachRow", data=b"SELECT 'x' AS a").body == '{"a":"x"}\n'
    assert curl(url, "-H", "X-ClickHouse-Format: CSV", data=b"SELECT 'x', 1").body == '"x",1\n'


def test_headers_of_an_answer(url: str) -> None:
    answer = curl(f"{url}/?query_id=abc", data=b"SELECT number FROM numbers(3)")
    assert answer.headers["X-ClickHouse-Format"] == "TabSeparated"
    assert answer.headers["X-ClickHouse-Query-Id"] == "abc"
    assert answer.headers["X-ClickHouse-Timezone"] == "UTC"
    assert answer.headers["Content-Type"] == "text/tab-separated-values; charset=UTF-8"
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert (summary["result_rows"], summary["result_bytes"], summary["written_rows"]) == ("3", "6", "0")


def test_parameters_settings_and_database_in_the_url(url: str) -> None:
    options = "param_s=it%27s&param_n=7&max_block_size=1234&database=system&session_id=x&wait_end_of_query=1"
    query = b"SELECT {s:String}, {n:UInt8}, getSetting('max_block_size'), currentDatabase()"
    assert curl(f"{url}/?{options}", data=query).body == "it\\'s\t7\t1234\tsystem\n"


def test_a_multipart_form(url: str) -> None:
    answer = curl(url, "-F", "query=SELECT {x:Array(String)}", "-F", "param_x=['a','b']")
    assert answer[::2] == (200, "['a','b']\n")
    answer = curl(url, "-F", "query=SELECT 1", "-F", "table=@-;filename=t")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (501, "48")


def test_a_password_is_asked_for_wherever_clickhouse_takes_one(server: EmbeddedClickHouse) -> None:
    url, password = server.url, server.users["default"]
    assert curl(f"{url}/?user=default&password={password}&query=SELECT%201").body == "1\n"
    assert curl(f"{url}/?password={password}&query=SELECT%201").body == "1\n"
    assert curl(f"{url}/?query=SELECT%201", "-u", f"default:{password}").body == "1\n"
    assert curl(f"{url}/?query=SELECT%201", "-H", f"X-ClickHouse-Key: {password}").body == "1\n"
    assert curl(f"{url}/?query=SELECT%201", "-u", f"reader:{server.users['reader']}").body == "1\n"
    for wrong in ((), ("-u", "default:"), ("-u", f"reader:{password}"), ("-u", f"a:{password}"), ("-u", ":"),
                  ("-H", "Authorization: Basic !"), ("-H", f"X-ClickHouse-Key: {password}x")):  # fmt: skip
        answer = curl(f"{url}/?query=SELECT%201", *wrong)
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516"), wrong
        assert f"passwords are in {server.users_file}, which its owner can read" in answer.body


@pytest.mark.parametrize(
    ("query", "status", "code", "text"),
    [
        (b"SELECT * FROM no_such_table", 404, "60", "(UNKNOWN_TABLE)"),
        (b"SELEC 1", 400, "62", "(SYNTAX_ERROR)"),
        (b"SELECT throwIf(1)", 500, "395", "(FUNCTION_THROW_IF_VALUE_IS_NON_ZERO)"),
        (b"SELECT 1 IN ('x')", 400, "53", "(TYPE_MISMATCH)"),
    ],
)
def test_errors(url: str, query: bytes, status: int, code: str, text: str) -> None:
    answer = curl(url, data=query)
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert answer.body.startswith(f"Code: {code}. DB::Exception: ")
    assert answer.body.count("Code: ") == 1
    assert text in answer.body


def test_a_get_only_reads(url: str) -> None:
    answer = curl(f"{url}/?query=CREATE%20DATABASE%20from_get")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "164")


def test_inserts_in_several_shapes(url: str) -> None:
    def run(query: bytes) -> str:
        answer = curl(url, data=query)
        assert answer.status == 200, answer.body
        return answer.body

    run(b"CREATE OR REPLACE TABLE shapes (a UInt8, b String) ENGINE = MergeTree ORDER BY a")
    run(b"INSERT INTO shapes FORMAT CSV\n1,one\n")
    run(b"INSERT INTO shapes VALUES (2, 'two')")
    insert = f"{url}/?query=INSERT%20INTO%20shapes%20FORMAT%20"
    assert curl(f"{insert}JSONEachRow", data=b'{"a":3,"b":"three"}').status == 200
    for number, (coding, compress) in enumerate(
        {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}.items(), start=4
    ):
        row = compress(f"{number}\t{coding}\n".encode())
        assert curl(f"{insert}TSV", "-H", f"Content-Encoding: {coding}", data=row).status == 200
    chunked = curl(f"{insert}TSV", "-H", "Transfer-Encoding: chunked", data=b"7\tchunked\n")
    assert json.loads(chunked.headers["X-ClickHouse-Summary"])["written_rows"] == "1"
    expected = "1\tone\n2\ttwo\n3\tthree\n4\tgzip\n5\tdeflate\n6\tzstd\n7\tchunked\n"
    assert run(b"SELECT * FROM shapes ORDER BY a") == expected


def test_compressed_answers(url: str) -> None:
    query = b"SELECT number FROM numbers(500000)"
    plain = curl(url, data=query)
    packed = curl(f"{url}/?enable_http_compression=1", "--compressed", data=query)
    assert packed.headers["Content-Encoding"] == "zstd"
    assert packed.body == plain.body
    assert "Content-Encoding" not in curl(url, "--compressed", data=query).headers


def test_damaged_bodies_are_refused(url: str) -> None:
    answer = curl(url, "-H", "Content-Encoding: gzip", data=b"SELECT 1")
    assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "36")
    assert "the body is not valid gzip" in answer.body


def test_an_error_in_the_middle_of_a_result_cuts_the_connection(url: str) -> None:
    query = "SELECT number, throwIf(number = 2900000) FROM numbers(3000000)"
    done = subprocess.run(["curl", "-sS", url, "-d", query], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 18  # "transferred a partial file"
    assert "Code: 395. DB::Exception" in done.stdout[-1000:]


def test_a_body_over_the_limit_is_refused_before_it_is_read(server: EmbeddedClickHouse) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-Key: %b\r\n" % server.users["default"].encode()
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        connection.sendall(head + b"Content-Length: 600000000\r\n\r\nINSERT")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_an_insert_whose_body_breaks_off_writes_nothing(server: EmbeddedClickHouse, url: str) -> None:
    assert curl(url, data=b"CREATE OR REPLACE TABLE cut (a UInt8) ENGINE = MergeTree ORDER BY a").status == 200
    with socket.create_connection((server.host, server.port), timeout=30) as connection:
        key = server.users["default"].encode()
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-Key: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % key
        connection.sendall(head + b"1f\r\nINSERT INTO cut FORMAT CSV\n1\n2\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in connection.recv(100)
    assert curl(url, data=b"SELECT count() FROM cut").body == "0\n"


async def test_more_queries_than_may_wait_are_sent_away(url: str) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask() -> int:
            async with session.post(url, data=b"SELECT sleep(0.5)") as response:
                await response.read()
                return response.status

        statuses = Counter(await asyncio.gather(*[ask() for _ in range(100)]))
    assert statuses.keys() == {200, 503}
    assert statuses[200] >= 80


@pytest.mark.parametrize("header", ["Host: rebound.example", "Origin: https://page.example"])
def test_what_a_web_page_makes_a_browser_send_is_refused(url: str, header: str) -> None:
    assert curl(url, "-H", header, data=b"SELECT 1").status == 403
