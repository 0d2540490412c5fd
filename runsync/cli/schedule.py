"""``runsync schedule``: a unit that calls ``runsync sync``, ready for this config.

No token is ever printed: the units say which file or secret must hold it. ``sync`` takes a lock
itself, so that no unit needs to; 75 (another sync holds it) is not a failure.
"""

import json
import os
import shlex
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import metadata
from pathlib import Path
from typing import Annotated

import typer

from runsync import __version__
from runsync.cli.app_context import load_config
from runsync.cli.options import ConfigOption, span
from runsync.cli.output import write
from runsync.config import Config, nearest
from runsync.errors import ConfigError

app = typer.Typer(
    no_args_is_help=True, help="Print a ready unit for cron, systemd or Kubernetes, and an image."
)

EveryOption = Annotated[
    str, typer.Option("--every", metavar="SPAN", help="How often: 5m, 15m, 1h, 1d.")
]

_CRON = """\
# runsync, every {every}: add this line with `crontab -e`.
# Cron mails what went wrong; it says nothing where another sync held the lock (75).
{secrets}{when} {command}
"""

_SYSTEMD = """\
# Save as ~/.config/systemd/user/runsync.service
# (or in /etc/systemd/system, with a User= of its own)
[Unit]
Description=runsync: keep CI history
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart={command}
{environment}# Another sync holds the lock: nothing to do.
SuccessExitStatus=75
NoNewPrivileges=yes
PrivateTmp=yes

# Save as ~/.config/systemd/user/runsync.timer, then:
#   systemctl --user daemon-reload && systemctl --user enable --now runsync.timer
#   loginctl enable-linger      # to go on when you are logged out
[Unit]
Description=runsync every {every}

[Timer]
OnActiveSec=10s
OnUnitInactiveSec={seconds}s

[Install]
WantedBy=timers.target
"""

_DOCKERFILE = """\
# runsync {version}, for `runsync schedule kubernetes`. In a checkout of runsync:
#   runsync schedule dockerfile > Dockerfile && docker build --tag {image} .
#   docker push {image}
# The config and the secrets are no part of it.
FROM python:{python}-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY runsync runsync
COPY migrations migrations
RUN pip wheel --no-cache-dir --wheel-dir /wheels {requirement}

FROM python:{python}-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links /wheels {installed} && rm -r /wheels
RUN useradd --uid {user} --no-create-home runsync
USER {user}
CMD ["runsync", "sync", "--config", "/etc/runsync/runsync.toml"]
"""

_KUBERNETES = """\
{secrets}#   kubectl create secret generic runsync --from-env-file={env_file}
#   kubectl create configmap runsync-config --from-file=runsync.toml={config}
# The image is what `runsync schedule dockerfile` prints, or any in which runsync[postgres] is.
{warning}apiVersion: batch/v1
kind: CronJob
metadata:
  name: runsync
spec:
  schedule: {when}
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec:
          restartPolicy: Never
          securityContext:
            runAsNonRoot: true
            runAsUser: {user}
          containers:
            - name: runsync
              image: {image}
              # 75: another sync holds the lock, and there is nothing to do.
              command:
                - /bin/sh
                - -c
                - runsync sync --config /etc/runsync/runsync.toml || test $? -eq 75
              env:
{env}              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
              volumeMounts:
                - name: config
                  mountPath: /etc/runsync
                  readOnly: true
          volumes:
            - name: config
              configMap:
                name: runsync-config
"""

_VARIABLE = """\
                - name: {name}
                  valueFrom:
                    secretKeyRef:
                      name: runsync
                      key: {name}
"""


_USER = 10001
_IMAGE = "registry.example.com/runsync:latest"
_IMAGE_PYTHON = "3.13"
ImageOption = Annotated[
    str, typer.Option("--image", metavar="IMAGE", help="The name of an image with runsync in it.")
]


@dataclass(frozen=True, slots=True)
class _Job:
    """The command to call, and the names of the variables that it needs."""

    config: Config
    path: Path
    variables: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        return [*_program(), "sync", "--config", str(self.path)]

    @property
    def secrets(self) -> Path:
        """The file that must hold the variables; the user creates it."""
        return self.path.with_name("runsync.env")


@app.command()
def cron(config: ConfigOption = None, every: EveryOption = "15m") -> None:
    """Print a line for crontab.

    Example: runsync schedule cron --every 5m
    """
    job, pause = _job(config), span(every)
    call = " ".join(shlex.quote(part) for part in job.command)
    source = f"set -a; . {shlex.quote(str(job.secrets))}; " if job.variables else ""
    command = f'{source}said=$({call} 2>&1 >/dev/null) || test $? -eq 75 || echo "$said"'
    line = _CRON.format(
        every=every,
        secrets=_how_to_make(job.secrets, job.variables),
        when=_cron_times(pause, every),
        command=command.replace("%", "\\%"),  # which cron takes for a line break
    )
    write(line)


@app.command()
def systemd(config: ConfigOption = None, every: EveryOption = "15m") -> None:
    """Print a service and a timer for systemd.

    Example: runsync schedule systemd --every 15m
    """
    job, pause = _job(config), span(every)
    environment = f"EnvironmentFile={_specifiers(str(job.secrets))}\n" if job.variables else ""
    unit = _SYSTEMD.format(
        command=" ".join(map(_systemd_word, job.command)),
        environment=_how_to_make(job.secrets, job.variables) + environment,
        every=every,
        seconds=int(pause.total_seconds()),
    )
    write(unit)


@app.command()
def kubernetes(
    config: ConfigOption = None,
    every: EveryOption = "15m",
    image: ImageOption = _IMAGE,
) -> None:
    """Print a CronJob for Kubernetes.

    Example: runsync schedule kubernetes --image registry.example.com/runsync:1
    """
    job, pause = _job(config), span(every)
    variables = tuple(dict.fromkeys([*job.variables, "RUNSYNC_DATABASE_URL"]))
    manifest = _KUBERNETES.format(
        config=shlex.quote(str(job.path)),
        env_file=shlex.quote(str(job.secrets)),
        secrets=_how_to_make(job.secrets, variables) + "# Then, and before this is applied:\n",
        warning=_about_sqlite(job.config),
        when=json.dumps(_cron_times(pause, every)),
        image=json.dumps(image),
        user=_USER,
        env="".join(_VARIABLE.format(name=name) for name in variables),
    )
    write(manifest)


@app.command()
def dockerfile(
    image: ImageOption = _IMAGE,
    extra: Annotated[
        list[str] | None,
        typer.Option("--extra", metavar="NAME", help="Also install this extra, such as parquet."),
    ] = None,
) -> None:
    """Print a Dockerfile of an image that the Kubernetes unit can use.

    Example: runsync schedule dockerfile --extra parquet
    """
    extras = ",".join(dict.fromkeys(["postgres", *(_known_extra(name) for name in extra or ())]))
    text = _DOCKERFILE.format(
        version=__version__,
        python=_IMAGE_PYTHON,
        image=image,
        requirement=shlex.quote(f".[{extras}]"),
        installed=shlex.quote(f"runsync[{extras}]"),
        user=_USER,
    )
    write(text)


def _known_extra(name: str) -> str:
    known = metadata("runsync").get_all("Provides-Extra") or []
    if name not in known:
        raise ConfigError(f"--extra {name!r} is not known; {nearest(name, known)}")
    return name


def _job(given: Path | None) -> _Job:
    config = load_config(given)
    if config.path is None:
        raise ConfigError("there is no config file to schedule; `runsync init` writes one")
    names = [source.token_env for source in config.sources.values() if source.token_env]
    if os.environ.get("RUNSYNC_DATABASE_URL"):
        names.append("RUNSYNC_DATABASE_URL")
    return _Job(config, config.path.resolve(), tuple(dict.fromkeys(names)))


def _program() -> list[str]:
    """How runsync was called just now, by absolute path: a scheduler's PATH is short."""
    called = Path(sys.argv[0])
    if called.name == "runsync" and called.is_file():
        return [str(called.absolute())]
    return [sys.executable, "-m", "runsync"]


def _how_to_make(file: Path, variables: tuple[str, ...]) -> str:
    if not variables:
        return ""
    lines = "".join(f"#   {name}=…\n" for name in variables)
    return f"# Create {file} with these lines, and chmod 600 it:\n{lines}"


def _cron_times(every: timedelta, said: str) -> str:
    minutes, rest = divmod(every, timedelta(minutes=1))
    if not rest and 60 % minutes == 0 and minutes < 60:
        return f"*/{minutes} * * * *" if minutes > 1 else "* * * * *"
    hours, rest = divmod(every, timedelta(hours=1))
    if not rest and hours and 24 % hours == 0:
        return "0 0 * * *" if hours == 24 else "0 * * * *" if hours == 1 else f"0 */{hours} * * *"
    raise ConfigError(
        f"cron cannot call every {said}; choose a divisor of an hour or a day, such as "
        "1m, 5m, 10m, 15m, 30m, 1h, 2h, 6h, 12h, 1d"
    )


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return _specifiers(f'"{escaped}"' if set(escaped) & set(" \t\"'\\;") else escaped)


def _specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _about_sqlite(config: Config) -> str:
    if not config.database_url.startswith("sqlite"):
        return ""
    return (
        "# This config names a SQLite file, which would be gone with the pod: let\n"
        "# RUNSYNC_DATABASE_URL name a PostgreSQL database.\n"
    )
