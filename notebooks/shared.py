"""What the notebooks share: a history where none is named, its window, and readable tables."""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from IPython.display import HTML

from runsync import Database

CONFIG = """
database_url = "sqlite:///runsync.db"

[sources.wercker]
base_url = "{url}"

[[pipelines]]
application_id = "{application}"
"""
_SHARES = ("rate", "_low", "_high", "share", "waste")
_folders = []  # gone when the notebook is closed


def open_history(url: str | None) -> Database:
    """The database of that URL; without one, a new one with the history of a simulated service."""
    return Database(url or simulated_history())


def simulated_history() -> str:
    """Serves a simulated Wercker, has ``runsync sync`` bring its history over HTTP into a new
    SQLite database, and gives the database's URL. The history is the same each time."""
    from runsync.simulator import Scenario, Simulator

    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    scenario = Scenario(seed=7, runs=600, days=120, now=now, has_incidents=True)
    _folders.append(tempfile.TemporaryDirectory(prefix="runsync-"))
    config = Path(_folders[-1].name) / "runsync.toml"
    with Simulator(scenario.build()) as simulator:
        application = simulator.world.application_id
        config.write_text(CONFIG.format(url=simulator.url, application=application))
        command = [sys.executable, "-m", "runsync", "sync", "-q", "--config", str(config)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return f"sqlite:///{config.with_name('runsync.db')}"


def window(db: Database, days: int, until: str | None = None) -> dict[str, pd.Timestamp]:
    """The last ``days`` up to ``until``, or up to the newest run, as reports take them."""
    with db.read() as connection:
        newest = connection.exec_driver_sql("SELECT MAX(created_at) FROM runs").scalar_one()
    end = pd.to_datetime(until or newest, utc=True) + pd.Timedelta(seconds=0 if until else 1)
    return {"since": end - pd.Timedelta(days=days), "until": end}


def shown(frame: pd.DataFrame) -> HTML:
    """The frame as a table in which durations, shares and times are for people."""
    text = frame.astype(object)
    for name in frame:
        text[name] = [_text(str(name), value) for value in frame[name]]
    return HTML(text.to_html(index=False, border=0))


def _text(column: str, value: object) -> object:
    if pd.isna(value):
        return ""
    if isinstance(value, pd.Timedelta):
        return duration(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if column == "period" else f"{value:%Y-%m-%d %H:%M}"
    if column == "commit_hash":
        return str(value)[:10]
    if column == "p_value":
        return f"{value:.3f}" if value >= 0.0005 else "< 0.001"
    if isinstance(value, float):
        return f"{value:.1%}" if column.endswith(_SHARES) else f"{value:,.1f}"
    return value


def duration(value: pd.Timedelta) -> str:
    """``2d 04h``, ``1h 04m``, ``3m 12s``, ``4.2s``."""
    if value < pd.Timedelta(0):
        return f"−{duration(-value)}"
    if value < pd.Timedelta(seconds=9.95):
        return f"{value.total_seconds():.1f}s"
    minutes, seconds = divmod(round(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"
