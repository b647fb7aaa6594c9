"""Who is told of alerts: the receivers of a plan, one of the kinds each."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from schemas.translatable import TranslatableValueError
from schemas.where import StrictModel


def _alert_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,79}", text):
        raise TranslatableValueError(
            "{text} can't be the name of an alert or a receiver: use a letter, then letters, digits and _ "
            "(at most 80); a title may be any text",
            text=f"{text!r:.80}",
        )
    return text


#: Of an alert, which becomes the `alertname` in Prometheus and Alertmanager, or of a receiver.
AlertName = Annotated[str, AfterValidator(_alert_name)]


class Webhook(StrictModel):
    """Alertmanager's own JSON, sent to a URL."""

    url: str = Field(pattern=r"^https?://[^\s/@]+(/\S*)?$")


class Slack(StrictModel):
    """A Slack channel. `url_file` holds the address of its incoming webhook, which is a secret."""

    url_file: str
    channel: str


class Email(StrictModel):
    """A mailbox. `password_file` holds the password of `username` at the mail server."""

    model_config = ConfigDict(populate_by_name=True)

    to: str
    sender: str = Field(alias="from")
    server: str = Field(pattern=r"^[^\s:]+:\d+$")
    username: str | None = None
    password_file: str | None = None
    require_tls: bool = True


class WeCom(StrictModel):
    """An application of WeCom (企业微信). `secret_file` holds its secret."""

    corp_id: str
    agent_id: str
    secret_file: str
    to_user: str = "@all"


class Robot(StrictModel):
    """A robot in a group of Feishu or DingTalk. `url_file` holds its address, `secret_file` the key it signs with."""

    url_file: str
    secret_file: str | None = None


class Receiver(StrictModel):
    """Where messages go: one of the kinds."""

    model_config = ConfigDict(populate_by_name=True)

    webhook: Webhook | None = None
    slack: Slack | None = None
    email: Email | None = None
    wecom: WeCom | None = None
    feishu: Robot | None = None
    dingtalk: Robot | None = None
    #: The bridge writes messages on its standard output: to try things out.
    printed: Literal[True] | None = Field(default=None, alias="print")

    @model_validator(mode="after")
    def _one_kind(self) -> Receiver:
        if len(self.kinds) != 1:
            names = ", ".join(f.alias or name for name, f in type(self).model_fields.items())
            raise TranslatableValueError("a receiver is exactly one of {names}", names=names)
        return self

    @property
    def kinds(self) -> list[str]:
        """The kinds that are given: one, in a valid receiver."""
        return [name for name in type(self).model_fields if getattr(self, name) is not None]

    @property
    def kind(self) -> str:
        """What kind of receiver it is."""
        return self.kinds[0]
