"""``runsync simulate``: a simulated Wercker, to try everything with."""

import sys
from math import isnan
from typing import TYPE_CHECKING, Annotated

import typer

from runsync.cli.options import FormatOption, JsonOption, chosen, when
from runsync.cli.output import Format, emit, note
from runsync.errors import ConfigError

if TYPE_CHECKING:
    from runsync.simulator import Faults, Simulator, World

COLUMNS = ("url", "application", "pipelines")
SNIPPET = """\
# A simulated Wercker serves on {url} until Ctrl-C.
# Save this as runsync.toml, and sync from another terminal: runsync sync
database_url = "sqlite:///simulated.db"

[sources.wercker]
base_url = "{url}"
{token}
[[pipelines]]
application_id = "{application}"   # all of its pipelines:
{pipelines}
"""


def simulate(
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="The port to serve on; 0 takes a free one."),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option("--seed", help="Which pipelines; with the same --now, the same history too."),
    ] = 1,
    runs: Annotated[int, typer.Option("--runs", min=0, help="How many runs in all.")] = 400,
    pipelines: Annotated[
        int, typer.Option("--pipelines", min=1, max=60, help="How many pipelines.")
    ] = 3,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, max=500, help="How many steps each run has; random if not given."
        ),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=10_000, help="How far back the history goes.")
    ] = 120,
    latency: Annotated[
        float, typer.Option("--latency", min=0, max=60, help="Seconds until each answer.")
    ] = 0.0,
    arrivals: Annotated[
        float,
        typer.Option("--arrivals", min=0, max=1e6, help="New runs per hour while it serves."),
    ] = 0.0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            metavar="FAULT",
            help="A fault to inject, such as 500:steps:every=10 or 429:runs:first=2; repeatable.",
        ),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="Refuse requests without this token.")
    ] = None,
    now: Annotated[
        str | None,
        typer.Option("--now", metavar="TIME", help="The time at which its clock starts."),
    ] = None,
    format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve a simulated Wercker on this machine, and print a runsync.toml for it.

    Example: runsync simulate --runs 1000 --arrivals 60
    """
    from runsync.simulator import Clock, Scenario, Simulator

    style = chosen(format, as_json)
    for option, number in (("--arrivals", arrivals), ("--latency", latency)):
        if isnan(number):
            raise ConfigError(f"{option} {number} is no number; name one, or leave it away")
    start = when(now) if now is not None else None
    scenario = Scenario(
        seed=seed,
        runs=runs,
        pipelines=pipelines,
        now=start,
        days=days,
        arrivals_per_hour=arrivals,
        steps=steps,
    )
    faults = _faults(fault or [])
    try:
        world = scenario.build(Clock.running(start) if start else None)
    except OverflowError:
        raise ConfigError(f"{days} days before {now} are no time; name a later one") from None
    simulator = Simulator(world, port=port, token=token, latency=latency, faults=faults)
    _start(simulator, port)
    _tell(simulator, world, style, token)
    simulator.serve_forever()
    note("stopped")


def _faults(texts: list[str]) -> "Faults":
    from runsync.simulator import Faults

    try:
        return Faults.parse(",".join(texts))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"--fault: {error}") from None


def _start(simulator: "Simulator", port: int) -> None:
    try:
        simulator.start()
    except OSError as error:
        raise ConfigError(
            f"cannot serve on port {port}: {error.strerror}; choose another with --port, or 0"
        ) from None


def _tell(simulator: "Simulator", world: "World", format: Format | None, token: str | None) -> None:
    url, ids = simulator.url, [pipeline.id for pipeline in world.pipelines]
    if format in (None, Format.TABLE):
        names = "\n".join(f"#   {pipeline.id}  {pipeline.name}" for pipeline in world.pipelines)
        place = 'token_env = "WERCKER_TOKEN"    # holds the token given to --token\n'
        sys.stdout.write(
            SNIPPET.format(
                url=url,
                application=world.application_id,
                token=place if token else "",
                pipelines=names,
            )
        )
    else:
        row = {"url": url, "application": world.application_id, "pipelines": ids}
        emit([row], columns=COLUMNS, format=format, single=True)
    sys.stdout.flush()
