"""Configuration: `PIPELINE_*` environment variables, or a TOML file with the same names in lower case.

The environment wins over the file. A wrong setting is one clear line, not a traceback.
"""

from __future__ import annotations

import difflib
import os
import ssl
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from faust import SASLCredentials, SSLCredentials
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.errors import UserError

_PREFIX = "PIPELINE_"
Positive = Annotated[float, Field(gt=0)]
TopicName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]


class Settings(BaseSettings):
    """Everything that can be set. Seconds end in `_s`; secrets are never printed."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True)

    plan: str = "shop"
    #: Names the incarnation of the Kafka log: a topic that is made anew, with offsets from 0, needs a new name.
    stream: str = Field(default="main", pattern=r"^[A-Za-z0-9._-]{1,64}$")

    kafka_bootstrap: str = Field(default="127.0.0.1:9092", min_length=1)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_cafile: Path | None = None
    kafka_ssl_certfile: Path | None = None
    kafka_ssl_keyfile: Path | None = None
    events_topic: TopicName = "events"
    rejected_topic: TopicName = "events.rejected"
    partitions: int = Field(default=8, ge=1, le=10_000)
    replication: int = Field(default=1, ge=1)
    group: TopicName = "streamgauge"
    session_timeout_s: Positive = 10.0

    clickhouse_url: str = Field(default="http://127.0.0.1:8123", pattern=r"^https?://[^/?#]+/?$")
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_database: str = Field(default="streamgauge", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    clickhouse_cafile: Path | None = None
    clickhouse_verify: bool = True
    retention_days: int = Field(default=365, ge=1)
    live_retention_days: int = Field(default=30, ge=1)
    rejected_retention_days: int = Field(default=30, ge=1)

    checkpoint_interval_s: Positive = 2.0
    publish_interval_s: Positive = 1.0
    watchdog_seconds: Positive = 60.0
    archiver_batch_rows: int = Field(default=50_000, ge=1, le=1_000_000)
    archiver_batch_seconds: Positive = 1.0
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=0, ge=0, le=65535)
    state_dir: Path | None = None

    def kafka_ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context for Kafka, None without TLS."""
        if "SSL" not in self.kafka_security_protocol.split("_"):
            return None
        context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
        if self.kafka_ssl_certfile is not None:
            context.load_cert_chain(self.kafka_ssl_certfile, self.kafka_ssl_keyfile)
        return context

    def kafka_kwargs(self) -> dict[str, Any]:
        """Connection arguments of aiokafka's clients."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap,
            "security_protocol": self.kafka_security_protocol,
        }
        context = self.kafka_ssl_context()
        if context is not None:
            arguments["ssl_context"] = context
        if self.kafka_security_protocol.startswith("SASL"):
            arguments["sasl_mechanism"] = self.kafka_sasl_mechanism
            arguments["sasl_plain_username"] = self.kafka_sasl_username
            arguments["sasl_plain_password"] = _plain(self.kafka_sasl_password)
        return arguments

    def faust_credentials(self) -> SASLCredentials | SSLCredentials | None:
        """The same as Faust wants it."""
        context = self.kafka_ssl_context()
        if self.kafka_security_protocol.startswith("SASL"):
            return SASLCredentials(
                username=self.kafka_sasl_username,
                password=_plain(self.kafka_sasl_password),
                ssl_context=context,
                mechanism=self.kafka_sasl_mechanism,
            )
        return SSLCredentials(context=context) if context is not None else None

    def clickhouse_kwargs(self) -> dict[str, Any]:
        """Connection arguments of clickhouse-connect's clients."""
        scheme, _, rest = self.clickhouse_url.rstrip("/").partition("://")
        host, _, port = rest.rpartition(":") if ":" in rest else (rest, "", "")
        return {
            "host": host,
            "port": int(port) if port else (8443 if scheme == "https" else 8123),
            "secure": scheme == "https",
            "username": self.clickhouse_user,
            "password": self.clickhouse_password.get_secret_value(),
            "verify": self.clickhouse_verify,
            **({"ca_cert": str(self.clickhouse_cafile)} if self.clickhouse_cafile else {}),
        }

    def environment(self) -> dict[str, str]:
        """These settings as environment variables, for a child process."""
        found: dict[str, str] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value is not None:
                found[_PREFIX + name.upper()] = str(value)
        return found


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def load_settings(config: Path | None = None) -> Settings:
    """Settings from the environment and an optional TOML file (`config`, or PIPELINE_CONFIG).

    Raises UserError that names the setting.
    """
    source = config or (Path(os.environ["PIPELINE_CONFIG"]) if "PIPELINE_CONFIG" in os.environ else None)
    from_file: dict[str, Any] = {}
    if source is not None:
        try:
            from_file = tomllib.loads(source.read_text("utf-8"))
        except OSError as exc:
            raise UserError(f"the settings file {source} can't be read: {exc.strerror}") from None
        except tomllib.TOMLDecodeError as exc:
            raise UserError(f"the settings file {source} is not TOML: {exc}") from None
    known = set(Settings.model_fields)
    for variable in os.environ:
        if variable.startswith(_PREFIX) and variable != "PIPELINE_CONFIG":
            _refuse_unknown(variable.removeprefix(_PREFIX).lower(), known, variable)
    for name in from_file:
        _refuse_unknown(name, known, f"{source}: {name}")
    in_environment = {name for name in known if _PREFIX + name.upper() in os.environ}
    try:
        return Settings(**{k: v for k, v in from_file.items() if k not in in_environment})
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        name = str(first["loc"][0])
        where = _PREFIX + name.upper() if name in in_environment else f"{source}: {name}"
        # A secret's value is never repeated.
        found = "" if "password" in name else f", found {str(first.get('input'))[:80]!r}"
        raise UserError(f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}{found}") from None


def _refuse_unknown(name: str, known: set[str], shown: str) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean {_PREFIX + close[0].upper()}?" if close else ""
        raise UserError(f"{shown}: there is no such setting{hint}")
