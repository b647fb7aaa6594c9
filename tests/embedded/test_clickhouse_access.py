"""What no query of the embedded ClickHouse can do: reach files or other machines, or more than its user may."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.statement import reaches_files
from pipeline.embedded.users import credentials, read_users, role_of
from pipeline.errors import UserError

integration = pytest.mark.integration
#: Codes of ClickHouse for what was tried and failed: a file that is not there or can't be opened, no connection.
TRIED = {"76", "107", "198", "209", "210", "279", "499", "1000"}


@pytest.fixture(scope="module")
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """Somebody on the network, and what has reached them."""
    came: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                came.append(b"connected")
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}", came
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the machine, and beside it the place where nothing is to appear."""
    path = tmp_path_factory.mktemp("machine") / "secret.csv"
    path.write_text("the secret\n")
    return path


def ask(
    server: EmbeddedClickHouse, user: str, sql: str, *, get: bool = False, **parameters: str
) -> tuple[int, str, str]:
    """Status, ClickHouse's code and text."""
    query = parameters | ({"query": sql} if get else {})
    request = urllib.request.Request(
        f"{server.url}/?{urllib.parse.urlencode(query)}",
        data=None if get else sql.encode(),
        headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": server.users[user]},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, "", answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.headers["X-ClickHouse-Exception-Code"], error.read().decode(errors="replace")


#: Reading: ~ is a line's end, FILE is the secret, OUT a file that is not there, HOST the listener.
QUERIES = """
SELECT * FROM file('FILE', LineAsString)
SELECT * FROM file('FILE')
SELECT file('FILE')
SELECT `file`('FILE')
SELECT "file"('FILE')
SELECT/**/file/**/('FILE')
SELECT arrayMap(x -> file(x), ['FILE'])
SELECT arrayMap(file, ['FILE'])
SELECT * APPLY(file) FROM (SELECT 'FILE' AS p)
SELECT file(p) FROM (SELECT 'FILE' AS p)
WITH (SELECT file('FILE')) AS x SELECT x
SELECT (SELECT (SELECT * FROM file('FILE', LineAsString)))
SELECT * FROM (SELECT * FROM view(SELECT * FROM file('FILE', LineAsString)))
WITH x AS (SELECT * FROM file('FILE', LineAsString)) SELECT * FROM x
SELECT 1 UNION ALL SELECT length(line) FROM file('FILE', LineAsString)
SELECT 1 WHERE 'the secret' IN (SELECT * FROM file('FILE', LineAsString))
SELECT * FROM loop(file('FILE', LineAsString)) LIMIT 1
SELECT * FROM `FILE`
SELECT * FROM default.`FILE`
SELECT * FROM _files.`FILE`
SELECT * FROM filesystem('FILE')
SELECT * FROM fileCluster('default', 'FILE', LineAsString)
SELECT * FROM sqlite('FILE', 't')
SELECT * FROM icebergLocal('FILE')
SELECT * FROM executable('id', TSV, 'a String')
SELECT * FROM Python(os)
DESCRIBE file('FILE')
DESCRIBE TABLE `FILE`
EXPLAIN SELECT * FROM file('FILE', LineAsString)
SHOW CREATE TABLE `FILE`
SELECT * FROM url('http://HOST/', LineAsString)
SELECT * FROM remote('HOST', system.one)
SELECT * FROM remoteSecure('HOST', system.one)
SELECT * FROM s3('http://HOST/bucket/key', 'CSV')
SELECT * FROM mysql('HOST', 'a', 'b', 'c', 'd')
SELECT * FROM postgresql('HOST', 'a', 'b', 'c', 'd')
SELECT * FROM mongodb('HOST', 'a', 'b', 'c', 'd', 'a int')
SELECT * FROM redis('HOST', 'k', 'k int')
SELECT * FROM azureBlobStorage('http://HOST', 'a', 'b')
SELECT * FROM hdfs('hdfs://HOST/a', 'CSV')
SELECT * FROM ytsaurus('http://HOST', 'a', 'b', 'a int')
SELECT 1 INTO OUTFILE 'OUT'
SELECT 1 INTO/**/OUTFILE'OUT'
SELECT 1 InTo -- x~ OutFile 'OUT' TRUNCATE FORMAT CSV
(SELECT 1) INTO OUTFILE 'OUT'
SELECT 1 UNION ALL SELECT 2 INTO OUTFILE 'OUT' APPEND
SELECT * FROM numbers(10) INTO OUTFILE $x$OUT$x$
EXPLAIN SELECT 1 INTO OUTFILE 'OUT'
SELECT 1; SELECT 2 INTO OUTFILE 'OUT'
SELECT 1 FORMAT Template SETTINGS format_template_row = 'FILE'
SELECT 1 FORMAT Protobuf SETTINGS format_schema = 'FILE:M'
SELECT 1 FORMAT CapnProto SETTINGS output_format_schema = 'OUT'
SELECT 1 SETTINGS dialect = 'kusto'
INSERT INTO FUNCTION file('OUT', 'CSV', 'a int') SELECT 1
INSERT INTO FUNCTION url('http://HOST/', 'CSV', 'a int') SELECT 1
INSERT INTO FUNCTION file('OUT', 'CSV', 'a int') VALUES (1)
BACKUP DATABASE default TO File('OUT')
RESTORE DATABASE d FROM File('FILE')
""".strip().split("\n")

#: What only the user who may write could try.
STATEMENTS = """
CREATE TABLE f1 (a String) ENGINE = File(LineAsString, 'FILE')
CREATE TABLE f2 (a String) ENGINE = File(CSV)
CREATE TABLE f3 (a String) ENGINE = URL('http://HOST/', CSV)
CREATE TABLE f4 (a String) ENGINE = S3('http://HOST/bucket/key', 'CSV')
CREATE TABLE f5 (a UInt8) ENGINE = MySQL('HOST', 'a', 'b', 'c', 'd')
CREATE TABLE f6 (k UInt8) ENGINE = EmbeddedRocksDB(0, 'OUT') PRIMARY KEY k
CREATE TABLE f7 (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = web, endpoint = 'http://HOST/')
CREATE TABLE f8 (a UInt8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = 'OUT')
CREATE TABLE f9 (a UInt8) ENGINE = Kafka('HOST', 't', 'g', 'CSV')
CREATE TABLE f0 AS remote('HOST', system.one)
CREATE VIEW v1 AS SELECT * FROM file('FILE', LineAsString)
CREATE DATABASE d1 ENGINE = Filesystem('/')
CREATE DATABASE d2 ENGINE = SQLite('OUT')
CREATE DATABASE d3 ENGINE = MySQL('HOST', 'a', 'b', 'c')
CREATE DATABASE d4 ENGINE = PostgreSQL('HOST', 'a', 'b', 'c')
CREATE DATABASE/**/d5 ENGINE/**/= `Filesystem`('/')
ATTACH DATABASE d6 ENGINE = Filesystem('/')
CREATE DATABASE d7 ENGINE = Backup('x', File('FILE'))
CREATE DICTIONARY x1 (k Int8, v Int8) PRIMARY KEY k SOURCE(FILE(path 'FILE' format 'CSV')) LAYOUT(FLAT())
CREATE DICTIONARY x2 (k Int8, v Int8) PRIMARY KEY k SOURCE(EXECUTABLE(command 'id' format 'TSV')) LAYOUT(FLAT())
CREATE DICTIONARY x3 (k Int8, v Int8) PRIMARY KEY k SOURCE(HTTP(url 'http://HOST/' format 'CSV')) LAYOUT(FLAT())
ATTACH TABLE a1 FROM 'FILE' (a UInt8) ENGINE = MergeTree ORDER BY a
CREATE NAMED COLLECTION c1 AS url = 'http://HOST/'
CREATE USER u1
GRANT ALL ON *.* TO default
SYSTEM SHUTDOWN
SYSTEM RELOAD CONFIG
INSERT INTO plain FROM INFILE 'FILE' FORMAT LineAsString
INSERT INTO plain from/**/infile 'FILE' FORMAT LineAsString
INSERT INTO plain SELECT file('FILE')
INSERT INTO plain VALUES (file('FILE'))
INSERT INTO plain SELECT a FROM input('a String'), file('FILE', LineAsString) FORMAT CSV~x
ALTER TABLE plain ADD COLUMN z String DEFAULT file('FILE')
""".strip().split("\n")


@integration
@pytest.mark.parametrize(("user", "get"), [("reader", False), ("reader", True), ("default", True), ("default", False)])
def test_no_query_reaches_files_or_the_network(
    server: EmbeddedClickHouse, secret: Path, listener: tuple[str, list[bytes]], user: str, get: bool
) -> None:
    address, came = listener
    ask(server, "default", "CREATE TABLE IF NOT EXISTS plain (a String) ENGINE = MergeTree ORDER BY a")
    out = secret.with_name("out")
    tried = [*QUERIES, *STATEMENTS] if user == "default" and not get else QUERIES
    for pattern in tried:
        sql = (
            pattern.replace("~", "\n")
            .replace("FILE'", f"{secret}'")
            .replace("FILE`", f"{secret}`")
            .replace("HOST", address)
        )
        sql = sql.replace("'OUT'", f"'{out}'").replace("$OUT$", f"${out}$").replace("FILE:M", f"{secret}:M")
        status, code, text = ask(server, user, sql, get=get)
        assert status != 200, sql
        assert code not in TRIED, (sql, text)
        assert "the secret" not in text, sql
    assert sorted(path.name for path in secret.parent.iterdir()) == ["secret.csv"]
    assert came == []


@integration
def test_a_reader_reads_and_does_nothing_else(server: EmbeddedClickHouse) -> None:
    ask(server, "default", "CREATE OR REPLACE TABLE held (a UInt8) ENGINE = MergeTree ORDER BY a")
    assert ask(server, "default", "INSERT INTO held VALUES (1)")[0] == 200
    for sql in (
        "SELECT a FROM held", "SHOW TABLES", "DESCRIBE held", "EXPLAIN SELECT 1", "WITH 1 AS x SELECT x",
        "SELECT 1 AS outfile, 2 AS infile", "SELECT 'INTO OUTFILE'", "SELECT a FROM held SETTINGS max_threads = 1",
        "SELECT * FROM system.tables FORMAT Null", "EXISTS TABLE held",
    ):  # fmt: skip
        assert ask(server, "reader", sql)[0] == 200, sql
        assert ask(server, "default", sql, get=True)[0] == 200, sql
    for sql in (
        "INSERT INTO held VALUES (2)", "INSERT INTO held SELECT 2", "INSERT INTO held FORMAT CSV\n2\n",
        "DROP TABLE held", "TRUNCATE TABLE held", "ALTER TABLE held DELETE WHERE 1", "DELETE FROM held WHERE 1",
        "OPTIMIZE TABLE held", "CREATE TABLE other (a UInt8) ENGINE = Memory", "CREATE DATABASE other",
        "CREATE TEMPORARY TABLE other (a UInt8)", "CREATE FUNCTION other AS x -> x", "RENAME TABLE held TO other",
        "KILL QUERY WHERE 1", "SYSTEM FLUSH LOGS", "SYSTEM STOP MERGES", "SET readonly = 0", "SET ROLE ALL",
        "SET ROLE writer", "USE system", "EXECUTE AS default SELECT 1", "SELECT 1; DROP TABLE held",
        "UPDATE held SET a = 2 WHERE 1", "DETACH TABLE held", "EXPLAIN INSERT INTO held VALUES (2)",
    ):  # fmt: skip
        for user, get in (("reader", False), ("default", True)):
            status, code, text = ask(server, user, sql, get=get)
            assert (status, code in {"164", "497", "62", "452", "344", "80"}) == (
                400 if code == "62" else status,
                True,
            ), text
            assert status >= 400, sql
    for name, value in (("readonly", "0"), ("param_x", "1"), ("user_files_path", "/"), ("role", "writer")):
        assert ask(server, "reader", "INSERT INTO held VALUES (2)", **{name: value})[0] >= 400
    assert ask(server, "reader", "SELECT a FROM held")[2] == "1\n"


@integration
@pytest.mark.parametrize(
    "setting",
    ["format_schema", "format_template_row", "format_template_resultset", "output_format_schema", "dialect",
     "input_format_record_errors_file_path", "format_avro_schema_registry_url"],
)  # fmt: skip
def test_settings_that_name_files_stay_as_they_are(server: EmbeddedClickHouse, setting: str) -> None:
    for user in ("reader", "default"):
        for get in (False, True):
            assert ask(server, user, "SELECT 1", get=get, **{setting: "/etc/passwd"})[1] in ("452", "36", "27"), user


@integration
def test_the_default_database_of_an_older_folder_keeps_its_tables(tmp_path: Path) -> None:
    # chDB as it is: its default database is an overlay, with the tables in a folder that a link names.
    import subprocess
    import sys

    code = f"""
from chdb import _chdb
connection = _chdb.connect({str(tmp_path / "clickhouse")!r})
connection.query("CREATE TABLE default.t (a UInt8) ENGINE = MergeTree ORDER BY a", "Null", params={{}})
connection.query("INSERT INTO default.t SELECT 7", "Null", params={{}})
connection.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    async def twice() -> list[str]:
        found = []
        for _ in range(2):
            async with EmbeddedClickHouse(tmp_path) as server:
                found.append(await asyncio.to_thread(lambda s=server: ask(s, "reader", "SELECT a FROM default.t")[2]))
        return found

    assert asyncio.run(twice()) == ["7\n", "7\n"]


@integration
def test_only_its_owner_can_look_into_the_folder(server: EmbeddedClickHouse) -> None:
    folder = server.users_file.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "clickhouse").stat().st_mode) == 0o700
    assert stat.S_IMODE(server.users_file.stat().st_mode) == 0o600
    assert server.users_file.stat().st_uid == os.getuid()


def test_passwords_are_made_once_and_are_hard_to_guess(tmp_path: Path) -> None:
    path = tmp_path / "clickhouse.users"
    users = read_users(path)
    assert users.keys() == {"default", "reader"}
    assert len(set(users.values())) == 2
    assert all(len(password) == 32 for password in users.values())
    assert read_users(path) == users
    assert read_users(tmp_path / "other.users") != users
    path.chmod(0o644)
    read_users(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "default:x\n", "default:\nreader:\n", "default:a\nreader:b\nroot:c\n"])
def test_a_file_that_holds_other_things_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clickhouse.users"
    path.write_text(text)
    with pytest.raises(UserError, match="remove it, and new ones are made"):
        read_users(path)


def test_who_asks() -> None:
    users = {"default": "one", "reader": "two"}
    assert role_of(users, "default", "one") == "writer"
    assert role_of(users, "reader", "two") == "reader"
    for name, password in (("default", "two"), ("default", ""), ("root", ""), ("", ""), ("default", "\udcff")):
        assert role_of(users, name, password) is None
    assert credentials({"Authorization": "Basic ZGVmYXVsdDpvbmU="}, {"user": "a"}) == ("default", "one")
    assert credentials({"Authorization": "Basic Om9uZQ=="}, {}) == ("default", "one")
    assert credentials({"Authorization": "Basic ???"}, {"password": "one"}) == ("", "")
    assert credentials({"X-ClickHouse-Key": "one"}, {}) == ("default", "one")
    assert credentials({}, {"user": "reader", "password": "two"}) == ("reader", "two")


@pytest.mark.parametrize(
    ("canonical", "found"),
    [
        (b"SELECT 1 INTO OUTFILE 'x'", "INTO OUTFILE"),
        (b"INSERT INTO t FROM INFILE 'x' FORMAT CSV", "FROM INFILE"),
        (b"SELECT 'INTO OUTFILE'", None),
        (b"SELECT a AS outfile FROM infile", None),
        (b"INSERT INTO outfile (a) FORMAT Values", None),
        (b"CREATE DATABASE d ENGINE = Atomic", None),
        (b"CREATE DATABASE d", None),
        (b"CREATE DATABASE d ENGINE = Filesystem('/')", "a database of another engine than Atomic or Memory"),
        (b"CREATE TABLE t (`disk` UInt8) ENGINE = MergeTree ORDER BY disk", None),
        (b"CREATE TABLE t (a UInt8) ENGINE = MergeTree SETTINGS disk = disk(type = web)", "a disk of its own"),
    ],
)
def test_what_reaches_files(canonical: bytes, found: str | None) -> None:
    assert reaches_files(canonical) == found
