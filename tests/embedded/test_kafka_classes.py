"""A start of Kafka reads its classes from a file that was made once, and does without where there can be none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from pipeline.embedded.kafka.classes import keep_classes
from pipeline.embedded.kafka.jars import kafka_jars
from pipeline.embedded.kafka.java import java
from pipeline.embedded.kafka.node import classes_file, command, server_command

#: A Java that makes a storage, listens where it is told to, and writes a part of the file when it is to end, no more.
HALF: Final = r"""#!{python}
import re, signal, socket, sys, time
from pathlib import Path
if "kafka.tools.StorageTool" in sys.argv:
    settings = next(word.partition("=")[2] for word in sys.argv if word.startswith("--config="))
    Path(re.search("log.dirs=(.*)", Path(settings).read_text())[1]).mkdir()
    sys.exit()
file = next(word.partition("=")[2] for word in sys.argv if word.startswith("-XX:ArchiveClassesAtExit="))
signal.signal(signal.SIGTERM, lambda *_: Path(file).write_bytes(b"a part"))
port = int(re.search("listeners=BROKER://127.0.0.1:([0-9]+)", Path(sys.argv[-1]).read_text())[1])
listening = socket.create_server(("127.0.0.1", port))
while True:
    time.sleep(1)
"""


@pytest.mark.usefixtures("needs_kafka")
def test_classes_are_read_from_the_file_that_was_made_with_the_jars(tmp_path: Path) -> None:
    jars = kafka_jars()
    file = classes_file(java(), jars)
    assert file.stat().st_size > 10_000_000
    program, *rest = command(java(), jars, tmp_path / "kafka.log", 64, "kafka.tools.StorageTool", "random-uuid")
    assert f"-XX:SharedArchiveFile={file}" in rest
    done = subprocess.run([program, "-Xlog:class+load", *rest], capture_output=True, text=True, check=True)
    (loaded,) = [line for line in done.stdout.splitlines() if " org.apache.kafka.common.Uuid source: " in line]
    assert "shared objects file (top)" in loaded


def test_where_it_can_not_be_made_kafka_starts_as_before_and_it_is_not_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    jars = tmp_path / "cache" / "kafka-4"
    jars.mkdir(parents=True)
    of_another = jars.with_name("kafka-4-0badcafe.jsa")
    of_another.write_bytes(b"classes")
    keep_classes(str(program), jars)
    assert classes_file(str(program), jars).read_bytes() == b""
    assert not of_another.exists()
    assert not [word for word in server_command(str(program), jars, tmp_path / "log", tmp_path / "p") if ".jsa" in word]
    assert sorted(path.name for path in jars.parent.iterdir()) == ["kafka-4", classes_file(str(program), jars).name]


def test_a_part_of_the_file_is_none(tmp_path: Path) -> None:
    program = tmp_path / "java"
    program.write_text(HALF.replace("{python}", sys.executable))
    program.chmod(0o755)
    jars = tmp_path / "cache" / "kafka-4"
    jars.mkdir(parents=True)
    keep_classes(str(program), jars, patience=3)
    assert classes_file(str(program), jars).read_bytes() == b""
