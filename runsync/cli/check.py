"""``runsync check``: the rules of the config against the figures."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runsync.cli.app_context import load_config, open_database
from runsync.cli.options import ConfigOption, FormatOption, JsonOption, OutputOption, chosen
from runsync.cli.output import Format, chosen_format, emit, markdown_text, note, write
from runsync.cli.webhook import post, webhook_url
from runsync.config import Config
from runsync.errors import CheckFailedError, ConfigError, SourceError
from runsync.text import visible

if TYPE_CHECKING:
    from runsync.cli.rules import Checked, CheckLine
    from runsync.storage.database import Database

BRIEF = ("status", "rule", "text", "url")
_MARKS = {"ok": "✅", "fail": "❌", "no data": "❔"}
_MOST_POSTED = 20


def check(
    webhook_env: Annotated[
        str | None,
        typer.Option(
            "--webhook-env",
            metavar="NAME",
            help="Where rules fail, post them to the webhook whose URL this variable holds.",
        ),
    ] = None,
    config: ConfigOption = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Compare the figures with the rules in [[checks]] of the config; end with 6 where one fails.

    Example: runsync check --format markdown
    """
    from runsync.cli.rules import COLUMNS, checked

    asked = chosen(format, as_json)
    settings = load_config(config)
    style = chosen_format(asked, output)
    if not settings.checks:
        raise ConfigError(
            f"{settings.path} has no [[checks]]; add one, such as: "
            'report = "pass-rates", since = "7d", below = { pass_rate = 0.8 }'
        )
    url = webhook_url(webhook_env) if webhook_env is not None else None
    rules = [checked(rule, settings.cost) for rule in settings.checks]
    with closing(open_database(settings)) as database:
        of_rules = [_findings(settings, database, rule) for rule in rules]
    found = [line for lines in of_rules for line in lines]
    if style is Format.MARKDOWN:
        write("".join(f"- {_line(one, markdown_text)}\n" for one in found), output)
    else:
        rows = [asdict(one) for one in found]
        emit(rows, columns=COLUMNS, format=asked, output=output, brief=BRIEF,
             spare=("url",), prose=("rule", "text"))  # fmt: skip
    failed = [one for one in found if one.status == "fail"]
    if not failed:
        return
    failing = [lines for lines in of_rules if any(one.status == "fail" for one in lines)]
    summary = _summary(len(failing), len(rules))
    if url is not None and webhook_env is not None:
        try:
            post(url, webhook_env, _message(failed, summary))
        except SourceError as error:
            raise CheckFailedError(f"{summary}, and {error}") from error
        note("posted to the webhook")
    raise CheckFailedError(summary)


def _findings(config: Config, database: "Database", rule: "Checked") -> "Sequence[CheckLine]":
    from runsync.cli.rules import findings

    return findings(rule, database, _status(config, database, rule) if rule.report is None else ())


def _status(config: Config, database: "Database", rule: "Checked") -> list[dict[str, Any]]:
    from runsync.cli.status import status_rows, still_synced

    names = [rule.rule.pipeline] if rule.rule.pipeline else []
    try:
        return [*still_synced(config, status_rows(config, database, names))]
    except ConfigError as error:
        raise ConfigError(f"{rule.rule.place}: {error}") from None


def _line(one: "CheckLine", shown: Any) -> str:
    link = f" {one.url}" if one.url else ""
    said = one.text if one.status == "fail" else f"{one.rule}: {one.text}"
    return f"{_MARKS[one.status]} {shown(said)}{link}"


def _message(failed: "Sequence[CheckLine]", summary: str) -> str:
    """What is posted: plain text, in which nobody can be called by a branch's name."""
    lines = [_line(one, _chat_text) for one in failed[:_MOST_POSTED]]
    more = len(failed) - _MOST_POSTED
    return "\n".join([summary, *lines, *([f"and {more} more"] if more > 0 else [])])


def _chat_text(text: str) -> str:
    escaped = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@\u200b")


def _summary(number: int, rules: int) -> str:
    return f"{number} of {rules} {'rule fails' if number == rules == 1 else 'rules fail'}"
