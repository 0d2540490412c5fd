"""``runsync schedule``: units that would really run."""

import configparser
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runsync import __version__
from tests.cli.conftest import TOKEN, Shell

ODD = 'a "b" $HOME %d \\ é'


@pytest.fixture
def odd_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The config stands in a folder whose name every shell would like to read otherwise."""
    folder = home / ODD
    folder.mkdir()
    (home / "runsync.toml").rename(folder / "runsync.toml")
    return folder


def fake_program(folder: Path, code: int) -> Path:
    """A `runsync` that writes down how it was called, and ends with ``code``."""
    program = folder / "bin" / "runsync"
    program.parent.mkdir()
    lines = [
        f"#!{sys.executable}",
        "import json, os, sys",
        "told = json.dumps([sys.argv[1:], os.environ.get('WERCKER_TOKEN')])",
        f"open({str(folder / 'called')!r}, 'w').write(told)",
        "print('data')",
        "print('said', file=sys.stderr)",
        f"sys.exit({code})",
    ]
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("unit", ["cron", "systemd", "kubernetes"])
def test_a_unit_names_the_token_and_never_tells_it(shell: Shell, home: Path, unit: str) -> None:
    ended = shell("schedule", unit)
    assert ended.code == 0
    assert "WERCKER_TOKEN" in ended.out
    assert TOKEN not in ended.out
    assert "75" in ended.out


@pytest.mark.parametrize(("code", "mail"), [(0, ""), (4, "said\n"), (75, "")])
def test_the_cron_line_runs(
    shell: Shell, odd_home: Path, monkeypatch: pytest.MonkeyPatch, code: int, mail: str
) -> None:
    program = fake_program(odd_home, code)
    monkeypatch.setattr("sys.argv", [str(program), "schedule", "cron"])
    line = shell("--config", odd_home / "runsync.toml", "schedule", "cron").out.splitlines()[-1]
    times, command = line.split(" ", 5)[:5], line.split(" ", 5)[5]
    assert times == ["*/15", "*", "*", "*", "*"]
    secrets = odd_home / "runsync.env"
    secrets.write_text(f"WERCKER_TOKEN={TOKEN}\n")
    # As cron does: a percent sign is a line break unless it is escaped.
    assert "%" not in command.replace("\\%", "")
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace("\\%", "%")],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert (done.stdout, done.stderr) == (mail, "")
    called = json.loads((odd_home / "called").read_text())
    assert called == [["sync", "--config", str(odd_home / "runsync.toml")], TOKEN]


@pytest.mark.parametrize(
    ("every", "times"),
    [
        ("1m", "* * * * *"),
        ("5m", "*/5 * * * *"),
        ("60m", "0 * * * *"),
        ("1h", "0 * * * *"),
        ("6h", "0 */6 * * *"),
        ("1d", "0 0 * * *"),
    ],
)
def test_cron_times(shell: Shell, home: Path, every: str, times: str) -> None:
    assert shell("schedule", "cron", "--every", every).out.splitlines()[-1].startswith(times)
    assert json.dumps(times) in shell("schedule", "kubernetes", "--every", every).out


@pytest.mark.parametrize("every", ["7m", "90m", "30s", "5h", "2d", "x"])
def test_times_that_cron_has_not(shell: Shell, home: Path, every: str) -> None:
    assert shell("schedule", "cron", "--every", every).code == 2


def units(text: str) -> list[dict[str, dict[str, str]]]:
    """The files that the text tells apart, as systemd reads them."""
    found = []
    for part in text.split("# Save as ")[1:]:
        parser = configparser.RawConfigParser(strict=True)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(part.partition("\n")[2])
        found.append({name: dict(parser[name]) for name in parser.sections()})
    return found


def test_systemd(shell: Shell, odd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/nowhere/pytest"])
    config = odd_home / "runsync.toml"
    service, timer = units(shell("--config", config, "schedule", "systemd", "--every", "1h").out)
    assert service["Service"]["Type"] == "oneshot"
    assert service["Service"]["SuccessExitStatus"] == "75"
    assert service["Service"]["EnvironmentFile"].replace("%%", "%") == str(odd_home / "runsync.env")
    command = service["Service"]["ExecStart"]
    assert command.count("$$") == 1
    assert "%" not in command.replace("%%", "")
    words = shlex.split(command.replace("%%", "%").replace("$$", "$"))
    assert words == [sys.executable, "-m", "runsync", "sync", "--config", str(config)]
    assert timer["Timer"]["OnUnitInactiveSec"] == "3600s"
    assert timer["Install"]["WantedBy"] == "timers.target"


def test_kubernetes(shell: Shell, home: Path) -> None:
    text = shell("schedule", "kubernetes", "--image", "r/x:1").out
    yaml = pytest.importorskip("yaml")
    manifest = yaml.safe_load(text)
    job = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = job["containers"]
    assert manifest["kind"] == "CronJob"
    assert manifest["spec"]["concurrencyPolicy"] == "Forbid"
    assert container["image"] == "r/x:1"
    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"]}
    assert secrets == {
        name: {"name": "runsync", "key": name} for name in ("WERCKER_TOKEN", "RUNSYNC_DATABASE_URL")
    }


def test_kubernetes_tells_that_a_file_is_gone_with_its_pod(shell: Shell, home: Path) -> None:
    assert "gone with the pod" in shell("schedule", "kubernetes").out
    config = home / "runsync.toml"
    config.write_text('database_url = "postgresql://db/ci"\n' + config.read_text())
    assert "gone with the pod" not in shell("schedule", "kubernetes").out


def test_no_token_no_file_for_it(shell: Shell, home: Path) -> None:
    config = home / "runsync.toml"
    config.write_text(config.read_text().replace('token_env = "WERCKER_TOKEN"', ""))
    for unit in ("cron", "systemd"):
        assert "runsync.env" not in shell("schedule", unit).out


def test_a_database_of_the_environment_goes_into_the_file(
    shell: Shell, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", "postgresql://me:swordfish@db/ci")
    for unit in ("cron", "systemd", "kubernetes"):
        text = shell("schedule", unit).out
        assert "RUNSYNC_DATABASE_URL" in text
        assert "swordfish" not in text


def test_no_config_no_unit(shell: Shell, folder: Path) -> None:
    assert shell("schedule", "cron").code == 2
    assert stat.S_ISDIR(folder.stat().st_mode)


def lines_of(shell: Shell, *words: str) -> list[str]:
    ended = shell("schedule", "dockerfile", *words)
    assert ended.code == 0
    return [line for line in ended.out.splitlines() if line and not line.startswith("#")]


def test_the_image_is_what_the_kubernetes_unit_wants(shell: Shell, home: Path) -> None:
    image = lines_of(shell)
    manifest = shell("schedule", "kubernetes").out
    (user,) = {line.split()[1] for line in image if line.startswith("USER ")}
    assert f"runAsUser: {user}\n" in manifest
    assert f"RUN useradd --uid {user} --no-create-home runsync" in image
    command = json.loads(image[-1].removeprefix("CMD "))
    assert " ".join(command) in manifest
    assert f"mountPath: {Path(command[-1]).parent}\n" in manifest


def test_the_image_needs_no_config_and_tells_no_secret(shell: Shell, folder: Path) -> None:
    assert lines_of(shell, "--image", "example.com/ci/runsync:7")[0].startswith("FROM python:3.")
    ended = shell("schedule", "dockerfile", "--extra", "parquett")
    assert ended.code == 2
    assert "did you mean 'parquet'?" in ended.err


@pytest.mark.proof
def test_what_the_image_runs_installs_runsync(shell: Shell, folder: Path) -> None:
    """Its two `pip` lines, in a fresh environment instead of a container."""
    image = lines_of(shell)
    wheels, source, root = folder / "wheels", folder / "source", Path(__file__).parents[2]
    source.mkdir()
    for line in image:
        if line.startswith("COPY ") and "--from" not in line:
            *names, target = line.split()[1:]
            subprocess.run(["cp", "-r", *names, source / target], cwd=root, check=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "image"], check=True)
    path = f"{folder / 'image' / 'bin'}:{os.environ['PATH']}"
    for step in [line.removeprefix("RUN ") for line in image if line.startswith("RUN pip")]:
        local = step.replace("/wheels", str(wheels)).replace("--no-cache-dir", "")
        subprocess.run(local, shell=True, check=True, cwd=source, env=os.environ | {"PATH": path})
    assert not wheels.exists()
    program = folder / "image" / "bin" / "runsync"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert __version__ in said.stdout
