"""Telling people that a report is there: its headline, through the receivers that the plan's alerts have."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import aiohttp

from pipeline.alerts import robots
from pipeline.alerts.message import Message, cut
from pipeline.errors import DependencyError, UserError
from pipeline.render.language import Language
from pipeline.terminal import say_lines
from schemas.plan import Plan
from schemas.receivers import Email, Receiver
from schemas.translatable import Foreign

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)
#: Kinds of receivers that a report can be sent to. An application of WeCom needs a token of its own.
KINDS: Final = ("webhook", "slack", "feishu", "dingtalk", "email", "printed")


async def send(plan: Plan, names: list[str], lines: list[str], file: Path, language: str) -> None:
    """Send the headline to each receiver; by mail with the file. Raises UserError before anything is sent, else
    DependencyError with all that failed."""
    receivers = [(name, receiver_of(plan, name)) for name in names]
    failed = []
    for name, receiver in receivers:
        try:
            await _send(plan, receiver, lines, file, language)
        except (aiohttp.ClientError, smtplib.SMTPException, TimeoutError, OSError, DependencyError) as exc:
            # The address of a robot is a secret: only what kind of trouble it was.
            failed.append(f"{name} ({exc if isinstance(exc, DependencyError) else type(exc).__name__})")
    if failed:
        raise DependencyError("the report is written, and could not be sent to {failed}", failed=", ".join(failed))


def receiver_of(plan: Plan, name: str) -> Receiver:
    """The receiver of that name; raises UserError if the plan has none, or of a kind that takes no reports."""
    receiver = plan.alerting.receivers.get(name)
    if receiver is None:
        raise UserError(
            "--send {name}: the plan has no such receiver under alerting.receivers; it has {known}",
            name=name, known=", ".join(plan.alerting.receivers) or "none",
        )  # fmt: skip
    if receiver.kind not in KINDS:
        raise UserError(
            "--send {name}: reports can't be sent to {kind}; they can to {known}",
            name=name, kind=receiver.kind, known=", ".join(KINDS),
        )  # fmt: skip
    return receiver


async def _send(plan: Plan, receiver: Receiver, lines: list[str], file: Path, language: str) -> None:
    message = Message(lines[0], lines[1:], plan.alerting.dashboard or "", Language(language)("dashboard"))
    if receiver.printed:
        say_lines(lines)
        return
    if receiver.email is not None:
        await asyncio.to_thread(_mail, receiver.email, lines, file)
        return
    url, body = _request(plan, receiver, message, file, language)
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.post(url, json=body) as response:
        if response.status >= 300:
            raise DependencyError("answers {status}", status=response.status)
        if receiver.feishu is not None or receiver.dingtalk is not None:
            problem = robots.refused(await response.json(content_type=None))
            if problem:
                raise DependencyError("refuses: {why}", why=problem)


def _request(plan: Plan, receiver: Receiver, message: Message, file: Path, language: str) -> tuple[str, dict[str, Any]]:
    """Where to post, and what."""
    if receiver.webhook is not None:
        body = {"title": message.title, "lines": message.lines, "file": str(file), "product": plan.product}
        return receiver.webhook.url, body
    if receiver.slack is not None:
        # Slack truncates a message of more than 40,000 characters (docs.slack.dev, chat.postMessage), and reads <…> as
        # a mention or a link: values of producers must not call anybody.
        text = cut(slack_text("\n".join([f"*{message.title}*", *message.lines])), 39_000)
        return _read(receiver.slack.url_file), {"channel": receiver.slack.channel, "text": text}
    robot = receiver.feishu or receiver.dingtalk
    assert robot is not None
    url, secret = _read(robot.url_file), _read(robot.secret_file) if robot.secret_file else None
    if receiver.feishu is not None:
        wanted = robots.feishu(message, url, secret, time.time(), language)
    else:
        wanted = robots.dingtalk(message, url, secret, time.time())
    return wanted.url, wanted.body


def slack_text(text: str) -> str:
    """Text whose signs mean nothing to Slack (docs.slack.dev, "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _mail(email: Email, lines: list[str], file: Path) -> None:
    """One mail, the report attached."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = lines[0], email.sender, email.to
    mail.set_content("\n".join(lines[1:]) + "\n")
    kind = {".pdf": ("application", "pdf"), ".html": ("text", "html")}.get(file.suffix, ("text", "markdown"))
    mail.add_attachment(file.read_bytes(), maintype=kind[0], subtype=kind[1], filename=file.name)
    host, _, port = email.server.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=20) as server:
        if email.require_tls:
            server.starttls(context=ssl.create_default_context())
        if email.username and email.password_file:
            server.login(email.username, _read(email.password_file))
        server.send_message(mail)


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as exc:
        raise DependencyError("{path} can't be read: {why}", path=path, why=Foreign(exc.strerror)) from None
