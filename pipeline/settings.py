"""Every setting of the roles, from `PIPELINE_*` variables or a TOML file; variables win.

    PIPELINE_KAFKA_BOOTSTRAP=kafka-1:9092      # a variable; or, in the file that PIPELINE_CONFIG names,
    kafka_bootstrap = "kafka-1:9092"           # the same name in lower case

A wrong or unknown setting is a UserError that names it.
"""

from __future__ import annotations

import difflib
import os
import ssl
import tomllib
from collections.abc import Set
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.errors import UserError
from schemas.event import LATEST_TS
from schemas.plan import Plan
from schemas.plan_io import PlanError, load_plan, ready_plans
from schemas.translatable import Foreign, Sentence, TranslatableValueError, said_by

PREFIX = "PIPELINE_"
#: Variables with the prefix that are no settings of their own.
_CONFIG = "PIPELINE_CONFIG"

_TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
#: What a stream may be called, a pattern.
STREAM_NAME = r"^[A-Za-z0-9._-]{1,64}$"
_Days = Annotated[int, Field(ge=1, le=36_500)]
_Port = Annotated[int, Field(ge=0, le=65_535)]


class Settings(BaseSettings):
    """The settings, checked. `load_settings` makes one with errors that a person can use."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", validate_default=True)

    plan: str = Field("shop", min_length=1, description="A tracking plan: a file, or the name of a ready one")
    validation: Literal["fast", "pydantic"] = Field(
        "fast",
        description="fast recognises usual events without Pydantic; pydantic asks it of all, with the same answers",
    )
    stream: str = Field(
        "main",
        pattern=STREAM_NAME,
        description="Names this incarnation of the topic: a new one is needed when its offsets start anew",
    )

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="host:port of brokers, separated by commas")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = Field(None, description="Authorities that sign the brokers' certificates")
    kafka_ssl_certfile: Path | None = Field(None, description="Our certificate, where brokers ask for one")
    kafka_ssl_keyfile: Path | None = None
    events_topic: _TopicName = "events"
    rejected_topic: _TopicName = "events.rejected"
    partitions: int = Field(8, ge=1, le=10_000, description="Of the events topic, when we create it")
    replication: int = Field(1, ge=1, le=10, description="Of the topics that we create")
    group: str = Field("streamgauge", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="Consumer group, of the worker")
    session_timeout_s: float = Field(10.0, ge=1, le=300, description="A process silent for longer loses its partitions")

    log_since_ms: int = Field(
        0, ge=0, le=LATEST_TS, description="When the events topic was made, epoch ms: where producers set record times"
    )

    clickhouse_url: str = "http://127.0.0.1:8123"
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_database: str = Field("streamgauge", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    clickhouse_verify: bool = Field(True, description="Check the server's certificate (https)")
    clickhouse_ca: Path | None = Field(None, description="Authorities that sign the server's certificate")
    clickhouse_timeout_s: float = Field(60.0, ge=1, le=3600, description="For an answer of ClickHouse")
    # So that a month is there beside the same one of last year.
    retention_days: _Days = Field(400, description="Days that events are kept, from when they were stored")
    minute_retention_days: _Days = Field(30, description="Days that live windows of a minute are kept")
    rejected_retention_days: _Days = Field(30, description="The same for rejected records and duplicates")

    checkpoint_interval_s: float = Field(2.0, ge=0.05, le=600)
    publish_interval_s: float = Field(1.0, ge=0.05, le=600)
    max_unpublished_rows: int = Field(
        200_000, ge=1, le=10_000_000, description="Changed live rows that wait for ClickHouse before counting waits"
    )
    archiver_batch_rows: int = Field(50_000, ge=1, le=1_000_000, description="Records an insert waits for")
    archiver_batch_seconds: float = Field(1.0, ge=0.05, le=60, description="and how long it waits for them")
    watchdog_seconds: float = Field(60.0, ge=1, le=3600, description="A role without progress for so long ends")
    state_store: Literal["memory", "rocksdb"] = Field(
        "memory", description="rocksdb: actors' funnel states on disk (extra rocksdb), for more of them than fit memory"
    )
    state_dir: Path | None = Field(None, description="Where the worker keeps files; each worker needs its own")

    log_format: Literal["text", "json"] = Field("text", description="json: one object a line, for programs")
    log_level: Literal["debug", "info", "warning", "error"] | None = Field(None, description="Else what suits")

    otel_endpoint: str | None = Field(None, description="An OpenTelemetry collector (OTLP over HTTP), for traces")
    otel_sample: float = Field(0.001, ge=0, le=1, description="Share of the front door's requests that are traced")

    metrics_host: str = "127.0.0.1"
    metrics_port: _Port = Field(9108, description="0: any free one")
    allowed_hosts: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._:\[\] ,-]*$",
        description="Further names that our web servers are called by, separated by commas",
    )

    dashboard_host: str = Field("127.0.0.1", description="Beyond the loopback address only with a login")
    dashboard_port: _Port = Field(9110, description="0: any free one")
    dashboard_workers: str = Field("http://127.0.0.1:9108", description="Where workers answer, separated by commas")
    dashboard_password_file: Path | None = Field(None, description="Who may look; made by dashboard --set-password")
    prometheus_url: str | None = Field(None, description="Knows which alerts fire, for the dashboard and the report")
    dashboard_user_header: str | None = Field(None, description="Header in which a proxy says who has logged in,")
    dashboard_proxies: str = Field("127.0.0.1,::1", description="and the addresses of proxies that are believed")
    dashboard_people: bool = Field(True, description="Whether single people can be looked at: their pages and lists")
    kept: Path | None = Field(None, description="The file of boards, segments, annotations and alerts made in pages")
    kept_editors: str = Field(
        "", max_length=10_000, description="Who may change them: names, by commas; empty: who has a login; *: everybody"
    )
    kept_key: SecretStr | None = Field(
        None, min_length=16, description="With it a program adds annotations: a CI its release"
    )
    dashboard_clickhouse_user: str | None = Field(None, description="A user that can only read")
    dashboard_clickhouse_password: SecretStr | None = None

    collect_host: str = Field("127.0.0.1", description="Where the front door listens; beyond loopback give it TLS")
    collect_port: _Port = Field(9111, description="0: any free one")
    collect_sources: Path = Field(Path("sources.json"), description="Who may send: the file of `streamgauge sources`")
    collect_proxies: str = Field("", description="Addresses and networks of proxies whose X-Forwarded-For is believed")
    collect_max_body: int = Field(4_000_000, ge=1_000, le=64 << 20, description="Bytes of a request, as it is sent")
    collect_max_waiting: int = Field(64 << 20, ge=1 << 20, le=16 << 30, description="Bytes that wait, all in all")
    collect_timeout_s: float = Field(10.0, ge=0.5, le=120, description="For Kafka's acknowledgement; then 503")
    collect_places: str = Field("", description="Files of addresses (.mmdb, .xdb), separated by commas: who is where")
    collect_places_language: str = Field("en", pattern=r"^[A-Za-z-]{2,10}$", description="Of their names: en, zh-CN")
    collect_ssl_certfile: Path | None = Field(None, description="The front door's certificate, where it speaks TLS")
    collect_ssl_keyfile: Path | None = None

    @field_validator("collect_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            for part in value.split(","):
                if part.strip():
                    ip_network(part.strip(), strict=False)
        except ValueError:
            raise TranslatableValueError(
                "write addresses and networks, separated by commas: 10.0.0.7, 192.168.0.0/24"
            ) from None
        return value

    @field_validator("kafka_bootstrap")
    @classmethod
    def _brokers(cls, value: str) -> str:
        servers = [part.strip() for part in value.split(",")]
        for server in servers:
            host, _, port = server.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
                raise TranslatableValueError("write host:port, several separated by commas")
            if ":" in host and not (host.startswith("[") and host.endswith("]")):
                raise TranslatableValueError("an IPv6 address stands in brackets: [::1]:9092")
        return ",".join(servers)

    @field_validator("clickhouse_url")
    @classmethod
    def _url(cls, value: str) -> str:
        hint = TranslatableValueError("write it like http://127.0.0.1:8123 or https://clickhouse.example.com:8443")
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            raise hint from None
        if parts.username or parts.password:
            raise TranslatableValueError("no name or password in it: they go to PIPELINE_CLICKHOUSE_USER and _PASSWORD")
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.query:
            raise hint
        return value.rstrip("/")

    @field_validator("dashboard_workers")
    @classmethod
    def _workers(cls, value: str) -> str:
        urls = [part.strip().rstrip("/") for part in value.split(",") if part.strip()]
        if not urls or not all(urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname for url in urls):
            raise TranslatableValueError("write http://127.0.0.1:9108, several separated by commas")
        return ",".join(urls)

    @field_validator("otel_endpoint")
    @classmethod
    def _collector(cls, value: str | None) -> str | None:
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise TranslatableValueError("write it like http://127.0.0.1:4318, without /v1/traces")
        return value.rstrip("/") if value else None

    @field_validator("prometheus_url")
    @classmethod
    def _prometheus(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise TranslatableValueError("write it like http://127.0.0.1:9090")
        return value.rstrip("/") if value else None

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        if self.kafka_security_protocol.startswith("SASL"):
            if not self.kafka_sasl_username or self.kafka_sasl_password is None:
                raise TranslatableValueError(
                    "{one} and {other} are needed with {this}",
                    one=f"{PREFIX}KAFKA_SASL_USERNAME",
                    other=f"{PREFIX}KAFKA_SASL_PASSWORD",
                    this=f"{PREFIX}KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}",
                )
        elif self.kafka_sasl_username:
            # Else a password that someone has set would silently not be used.
            raise _needs("KAFKA_SASL_USERNAME", "KAFKA_SECURITY_PROTOCOL=SASL_SSL")
        if self.kafka_ssl_keyfile and not self.kafka_ssl_certfile:
            raise _needs("KAFKA_SSL_KEYFILE", "KAFKA_SSL_CERTFILE")
        if self.collect_ssl_keyfile and not self.collect_ssl_certfile:
            raise _needs("COLLECT_SSL_KEYFILE", "COLLECT_SSL_CERTFILE")
        if self.state_store == "rocksdb" and self.state_dir is None:
            raise TranslatableValueError(
                "PIPELINE_STATE_STORE=rocksdb needs PIPELINE_STATE_DIR, a folder for this worker alone"
            )
        if self.events_topic == self.rejected_topic:
            raise TranslatableValueError("PIPELINE_EVENTS_TOPIC and PIPELINE_REJECTED_TOPIC must be two topics")
        return self

    def kafka_ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context of Kafka clients; None without TLS. Raises UserError if a file can't be used."""
        if not self.kafka_security_protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
            if self.kafka_ssl_certfile:
                context.load_cert_chain(self.kafka_ssl_certfile, self.kafka_ssl_keyfile)
        except (OSError, ssl.SSLError) as exc:
            raise UserError("PIPELINE_KAFKA_SSL_*: the certificates can't be used: {why}", why=exc) from None
        return context

    def kafka_kwargs(self) -> dict[str, Any]:
        """How every aiokafka client (consumer, producer, admin) connects."""
        kwargs: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap,
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": self.kafka_ssl_context(),
        }
        if self.kafka_sasl_password is not None:
            kwargs["sasl_mechanism"] = self.kafka_sasl_mechanism
            kwargs["sasl_plain_username"] = self.kafka_sasl_username
            kwargs["sasl_plain_password"] = self.kafka_sasl_password.get_secret_value()
        return kwargs

    def clickhouse_kwargs(self) -> dict[str, Any]:
        """How every clickhouse-connect client connects (without a database: it may not be there yet)."""
        parts = urlsplit(self.clickhouse_url)
        kwargs: dict[str, Any] = {
            "interface": parts.scheme,
            "host": parts.hostname,
            "port": parts.port or (8443 if parts.scheme == "https" else 8123),
            "proxy_path": parts.path,
            "username": self.clickhouse_user,
            "password": self.clickhouse_password.get_secret_value(),
            "send_receive_timeout": self.clickhouse_timeout_s,
        }
        if parts.scheme == "https":
            kwargs["verify"] = self.clickhouse_verify
            if self.clickhouse_ca is not None:
                kwargs["ca_cert"] = str(self.clickhouse_ca)
        return kwargs

    def environment(self) -> dict[str, str]:
        """These settings as variables, for a child process. Holds the passwords: not for logs."""
        found: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                found[PREFIX + name.upper()] = str(value)
        return found


def load_settings(config: str | Path | None = None, **given: Any) -> Settings:
    """The settings from the environment and from the TOML file `config`, or the one PIPELINE_CONFIG names.

    What is `given` (and not None) comes before both. Raises UserError, one line that names each wrong setting.
    """
    path = config or os.environ.get(_CONFIG)
    from_file = _read_file(Path(path)) if path else {}
    _refuse_unknown_variables()
    variables = {name.upper() for name in os.environ}
    wanted = {name: value for name, value in from_file.items() if PREFIX + name.upper() not in variables}
    wanted |= {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**wanted)
    except ValidationError as exc:
        problems = [_problem(error, path, from_file.keys() - given.keys()) for error in exc.errors(include_url=False)]
        raise UserError.of(Sentence.joined("; ", problems)) from None


def plan_of(settings: Settings) -> Plan:
    """The plan that the settings name; raises UserError with every mistake in it."""
    try:
        return load_plan(settings.plan)
    except PlanError as exc:
        raise UserError("{why}", why=exc) from None
    except FileNotFoundError:
        ready = ", ".join(ready_plans())
        raise UserError(
            "there is no plan {plan}: give a YAML file, or one of {ready}", plan=settings.plan, ready=ready
        ) from None
    except OSError as exc:
        raise UserError("the plan {plan} can't be read: {why}", plan=settings.plan, why=Foreign(exc.strerror)) from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise UserError("the settings file {path} can't be read: {why}", path=path, why=Foreign(exc.strerror)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UserError("the settings file {path} is not TOML: {why}", path=path, why=exc) from None
    for name in data:
        if name not in Settings.model_fields:
            raise UserError("{place}: {why}", place=path, why=_no_setting(name, list(Settings.model_fields)))
    return data


def _refuse_unknown_variables() -> None:
    """A misspelt variable would otherwise be a setting that silently isn't set."""
    known = [_CONFIG, *(PREFIX + name.upper() for name in Settings.model_fields)]
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise _no_setting(name, known)


def _no_setting(name: str, known: list[str]) -> UserError:
    asked = name.upper() if name.upper().startswith(PREFIX) else name
    if close := difflib.get_close_matches(asked, known, n=3, cutoff=0.75):
        return UserError("{name} is not a setting: did you mean {close}?", name=name, close=" or ".join(close))
    return UserError("{name} is not a setting", name=name)


def _needs(name: str, other: str) -> TranslatableValueError:
    return TranslatableValueError("{name} needs {other}", name=PREFIX + name, other=PREFIX + other)


def _problem(error: Any, path: str | Path | None, from_file: Set[str]) -> str:
    message = said_by(error)
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    where = f"{path}: {name}" if name in from_file else PREFIX + name.upper()
    field = Settings.model_fields.get(name)
    secret = field is not None and "Secret" in str(field.annotation)
    if isinstance(message, Foreign):
        message = Foreign(message[:1].lower() + message[1:])
    if secret or name == "clickhouse_url":
        return Sentence("{place}: {why}", place=where, why=message)
    return Sentence("{place}: {why} (found {given})", place=where, why=message, given=repr(str(error["input"])[:100]))
