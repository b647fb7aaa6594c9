"""The Alertmanager configuration of a plan: who is told of what, and what is not told. Pure but for secret files.

Secrets are named by file. Alertmanager reads them itself where it can; the secret of a WeCom application it can't,
so that one is put into the configuration, which then is a secret too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.alerts.message import CUT, MAX_ALERTS
from pipeline.alerts.rules import NO_DATA, kind_of
from pipeline.alerts.texts import words_of
from pipeline.errors import UserError
from schemas.duration import format_duration
from schemas.plan import Plan
from schemas.receivers import Receiver
from schemas.translatable import Foreign

#: Where the bridge listens, as seen from Alertmanager.
BRIDGE: Final = "http://127.0.0.1:9096"
#: Receivers that the bridge serves.
BRIDGED: Final = ("feishu", "dingtalk", "printed")
NOBODY: Final = "nobody"
#: Alerts of a group that a message of WeCom spells out.
_WECOM_ALERTS: Final = 3
#: Characters of each text in a message for Slack.
_SLACK_CHARACTERS: Final = 500


def document(plan: Plan, bridge: str = BRIDGE) -> dict[str, Any]:
    """The configuration. Raises UserError if a secret that must go into it can't be read."""
    alerting = plan.alerting
    routes = []
    for name, told in [(NO_DATA, alerting.tell), *((n, alerting.told(a)) for n, a in alerting.alerts.items())]:
        # The last of several receivers ends the search.
        for number, receiver in enumerate(told, start=1):
            route: dict[str, Any] = {"receiver": receiver, "matchers": [f'alertname="{name}"']}
            routes.append(route if number == len(told) else {**route, "continue": True})
    return {
        "route": {
            "receiver": NOBODY,
            # One message for an alert, whatever number of segments it is about.
            "group_by": ["alertname"],
            "group_wait": format_duration(alerting.wait),
            "group_interval": format_duration(2 * alerting.wait),
            "repeat_interval": format_duration(alerting.repeat),
            "routes": routes,
        },
        "inhibit_rules": inhibitions(plan),
        "receivers": [
            {"name": NOBODY},
            *(_receiver(plan, name, receiver, bridge) for name, receiver in alerting.receivers.items()),
        ],
    }


def inhibitions(plan: Plan) -> list[dict[str, Any]]:
    """One cause, one message: what is silent while what fires."""
    pipeline = [NO_DATA, *(n for n, alert in plan.alerting.alerts.items() if kind_of(alert) == "pipeline")]
    rules: list[dict[str, Any]] = [
        # Without figures nothing can be said; figures that are behind say something wrong of the product.
        {"source_matchers": [f'alertname="{NO_DATA}"'], "target_matchers": [f'alertname!="{NO_DATA}"']},
        {"source_matchers": ['kind="pipeline"'], "target_matchers": ['kind="product"']},
        *[{"source_matchers": [f'cause="{name}"'], "target_matchers": ['kind="product"']} for name in pipeline],
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity=~"warning|info"'],
            "equal": ["subject", "segment"],
        },
        {"source_matchers": ['severity="warning"'], "target_matchers": ['severity="info"'],
         "equal": ["subject", "segment"]},
    ]  # fmt: skip
    for name, alert in plan.alerting.alerts.items():
        rules += [
            {"source_matchers": [f'cause="{cause}"'], "target_matchers": [f'alertname="{name}"']}
            for cause in alert.under
        ]
    return rules


def text(plan: Plan, bridge: str = BRIDGE) -> str:
    """The configuration as YAML."""
    head = f"# Made from the plan of {plan.product} by `streamgauge alerts render`: change the plan, not this file.\n"
    return head + yaml.safe_dump(document(plan, bridge), sort_keys=False, allow_unicode=True, width=1_000_000)


def _receiver(plan: Plan, name: str, receiver: Receiver, bridge: str) -> dict[str, Any]:
    title, body = _templates(plan)
    if receiver.kind in BRIDGED:
        return {"name": name, "webhook_configs": [{"url": f"{bridge.rstrip('/')}/{name}", "send_resolved": True}]}
    if receiver.webhook is not None:
        return {"name": name, "webhook_configs": [{"url": receiver.webhook.url, "send_resolved": True}]}
    if receiver.slack is not None:
        found = receiver.slack
        config = {"api_url_file": found.url_file, "channel": found.channel, "title": title,
                  "text": _slack_template(plan), "send_resolved": True}  # fmt: skip
        return {"name": name, "slack_configs": [config]}
    if receiver.email is not None:
        mail = receiver.email
        config = {"to": mail.to, "from": mail.sender, "smarthost": mail.server, "require_tls": mail.require_tls,
                  "headers": {"Subject": title}, "html": "", "text": body, "send_resolved": True}  # fmt: skip
        if mail.username is not None:
            config["auth_username"] = mail.username
        if mail.password_file is not None:
            config["auth_password_file"] = mail.password_file
        return {"name": name, "email_configs": [config]}
    wecom = receiver.wecom
    assert wecom is not None
    config = {"corp_id": wecom.corp_id, "agent_id": wecom.agent_id, "to_user": wecom.to_user,
              "api_secret": _secret(name, wecom.secret_file), "message": _wecom_template(plan),
              "send_resolved": True}  # fmt: skip
    return {"name": name, "wechat_configs": [config]}


def _templates(plan: Plan) -> tuple[str, str]:
    """Title and text of a message, for receivers that Alertmanager serves itself."""
    words = words_of(plan.alerting.language)
    state = f'{{{{ if eq .Status "firing" }}}}{words["firing"]}{{{{ else }}}}{words["resolved"]}{{{{ end }}}}'
    title = str(words["is"]).format(title=state, value="{{ .CommonAnnotations.title }}")
    since = str(words["since"]).format(time='{{ .StartsAt.UTC.Format "2006-01-02 15:04:05 UTC" }}')
    todo = str(words["todo"]).format(todo="{{ .Annotations.todo }}")
    body = (
        f"{{{{ range .Alerts }}}}{{{{ .Annotations.summary }}}}\n{since}\n"
        f"{{{{ if .Annotations.todo }}}}{todo}\n{{{{ end }}}}"
        "{{ if .Annotations.link }}{{ .Annotations.link }}\n{{ end }}{{ end }}"
    )
    return title, body


def _slack_template(plan: Plan) -> str:
    """A text far below the 40,000 characters behind which Slack cuts without a word.

    (docs.slack.dev, chat.postMessage: "Slack will truncate messages containing more than 40,000 characters".) Slack's
    three signs are escaped, as its page on formatting says: a value of a producer could call everybody (`<!channel>`)
    or hide where a link leads.
    """
    words = words_of(plan.alerting.language)
    since = str(words["since"]).format(time='{{ .StartsAt.UTC.Format "2006-01-02 15:04:05 UTC" }}')
    todo = str(words["todo"]).format(todo=_for_slack(".CommonAnnotations.todo"))
    return (
        f"{{{{ range $at, $alert := .Alerts }}}}{{{{ if lt $at {MAX_ALERTS} }}}}"
        f"{_for_slack('.Annotations.summary')}\n{since}\n{{{{ end }}}}{{{{ end }}}}"
        f"{{{{ if gt (len .Alerts) {MAX_ALERTS} }}}}{CUT} {{{{ len .Alerts }}}}\n{{{{ end }}}}"
        f"{{{{ if .CommonAnnotations.todo }}}}{todo}\n{{{{ end }}}}"
        "{{ if and .CommonAnnotations.link (le (len .CommonAnnotations.link) 2000) }}"
        "{{ .CommonAnnotations.link }}\n{{ end }}"
    )


def _for_slack(value: str) -> str:
    kept = f'(printf "%.{_SLACK_CHARACTERS}s" {value})'
    escaped = f'{kept} | reReplaceAll "&" "&amp;" | reReplaceAll "<" "&lt;" | reReplaceAll ">" "&gt;"'
    return f"{{{{ {escaped} }}}}{{{{ if ne {kept} {value} }}}}…{{{{ end }}}}"


def _wecom_template(plan: Plan) -> str:
    """A message of at most 2,048 bytes, which is what WeCom takes of a text; what is behind them is cut off.

    (developer.work.weixin.qq.com/document/path/90236: "最长不超过2048个字节，超过将截断".) Alertmanager's templates
    can't measure what they have written, so each part has a bound of its own: in bytes, but cut between characters.
    Alerts of one message are one alert of the plan, so its advice and link stand once. WeCom reads `<a href=…>` in a
    text, so no value of a producer may have a `<`.
    """
    words = words_of(plan.alerting.language)
    state = f'{{{{ if eq .Status "firing" }}}}{words["firing"]}{{{{ else }}}}{words["resolved"]}{{{{ end }}}}'
    since = str(words["since"]).format(time='{{ .StartsAt.UTC.Format "2006-01-02 15:04:05 UTC" }}')
    todo = str(words["todo"]).format(todo=_bounded(".CommonAnnotations.todo", 300))
    return (
        f"{str(words['is']).format(title=state, value=_bounded('.CommonAnnotations.title', 240))}\n"
        f"{{{{ range $at, $alert := .Alerts }}}}{{{{ if lt $at {_WECOM_ALERTS} }}}}"
        f"{_bounded('.Annotations.summary', 240)}\n{since}\n{{{{ end }}}}{{{{ end }}}}"
        f"{{{{ if gt (len .Alerts) {_WECOM_ALERTS} }}}}{CUT} {{{{ len .Alerts }}}}\n{{{{ end }}}}"
        f"{{{{ if .CommonAnnotations.todo }}}}{todo}\n{{{{ end }}}}"
        "{{ if and .CommonAnnotations.link (le (len .CommonAnnotations.link) 250) }}"
        "{{ .CommonAnnotations.link }}\n{{ end }}"
    )


def _bounded(value: str, most: int) -> str:
    """A template that writes at most so many bytes of a value: printf counts characters, which have up to 4 bytes."""
    value = f'(reReplaceAll "<" "‹" {value})'
    kept = (most - len("…".encode())) // 4
    cut_off = f'{{{{ printf "%.{kept}s…" {value} }}}}'
    return f"{{{{ if gt (len {value}) {most} }}}}{cut_off}{{{{ else }}}}{{{{ {value} }}}}{{{{ end }}}}"


def _secret(name: str, file: str) -> str:
    try:
        return Path(file).read_text("utf-8").strip()
    except OSError as exc:
        raise UserError(
            "alerting.receivers.{name}: the secret file {file} can't be read ({why}): Alertmanager needs what it "
            "holds in its configuration",
            name=name,
            file=file,
            why=Foreign(exc.strerror),
        ) from None
