"""Every key of the config, and every way to get one wrong: a sentence each, and exit code 2."""

import os
import re
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runsync import config
from runsync.config import Config, PipelineConfig, SourceConfig
from runsync.errors import ConfigError
from runsync.sources import open_source
from runsync.storage.database import Database
from runsync.toml_table import as_time

ID = "5751377e7e1bd5f17f050bc4"
OTHER_ID = "5751377e7e1bd5f17f050bc0"
PATH = Path("/somewhere/runsync.toml")

# As DESIGN.md shows it, word for word.
EXAMPLE = """
database_url = "sqlite:///runsync.db"    # any SQLAlchemy URL of SQLite or PostgreSQL

[sync]
concurrency = 8                # requests in flight per source
since = "2024-01-01"           # how far back history is wanted; absent: all of it

[sources.wercker]              # a name of the user's choosing
type = "wercker"               # wercker | github | gitlab | buildbot; default: the name itself
base_url = "https://app.wercker.com"
token_env = "WERCKER_TOKEN"    # or token_file, or token_command = ["pass", "show", "ci"]

[[pipelines]]
source = "wercker"
id = "5751377e7e1bd5f17f050bc4"
name = "initial-build"         # optional label

[[pipelines]]
source = "wercker"
application_id = "5751377e7e1bd5f17f050bc0"   # every pipeline of an application, new ones too
"""


def parsed(text: str, path: Path = PATH) -> Config:
    return config.parse(textwrap.dedent(text), path)


def refusal(text: str, path: Path = PATH) -> str:
    """The sentence with which a config is refused; it names the file."""
    with pytest.raises(ConfigError) as caught:
        parsed(text, path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def source(**keys: Any) -> SourceConfig:
    """The ``[sources.wercker]`` with these keys more."""
    lines = "\n".join(f"{key} = {value}" for key, value in keys.items())
    return parsed(f"[sources.wercker]\n{lines}").sources["wercker"]


# What is right.


def test_the_example_of_the_design_is_read() -> None:
    found = parsed(EXAMPLE)
    assert found == Config(
        path=PATH,
        database_url="sqlite:////somewhere/runsync.db",
        concurrency=8,
        since=datetime(2024, 1, 1, tzinfo=UTC),
        sources={
            "wercker": SourceConfig(
                "wercker", "wercker", "https://app.wercker.com", token_env="WERCKER_TOKEN"
            )
        },
        pipelines=(
            PipelineConfig("wercker", id=ID, name="initial-build"),
            PipelineConfig("wercker", application_id=OTHER_ID),
        ),
    )


def test_details_may_be_wanted_where_a_provider_has_them() -> None:
    assert source(details="true").details
    assert not source().details
    assert "must be true or false" in refusal("[sources.wercker]\ndetails = 1")
    said = refusal("[sources.github]\ndetails = true")
    assert "`details` changes nothing for GitHub" in said


def test_an_empty_config_is_all_defaults() -> None:
    assert parsed("") == Config(PATH, "sqlite:////somewhere/runsync.db")


def test_a_source_is_of_the_type_that_its_name_says() -> None:
    found = parsed("[sources.github]\n[sources.gitlab]").sources
    assert {one.type: one.base_url for one in found.values()} == {
        "github": "https://api.github.com",
        "gitlab": "https://gitlab.com",
    }


def test_the_only_source_need_not_be_named() -> None:
    (pipeline,) = parsed(f'[sources.wercker]\n[[pipelines]]\nid = "{ID}"').pipelines
    assert pipeline.source == "wercker"
    assert pipeline.key == ("id", ID)


def test_a_trailing_slash_of_the_base_url_is_dropped() -> None:
    assert source(base_url='"https://ci.example.org/werk/"').base_url.endswith("org/werk")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"2024-01-31"', datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ('"2024-01-31T10:00"', datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:00+02:00", datetime(2024, 1, 31, 8, tzinfo=UTC)),
        ('" 2024-01-31T10:00:00Z "', datetime(2024, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_since_is_a_date_or_a_time(written: str, meant: datetime) -> None:
    assert parsed(f"[sync]\nsince = {written}").since == meant


@given(
    st.datetimes(
        datetime(1, 1, 2),  # noqa: DTZ001
        datetime(9999, 12, 30),  # noqa: DTZ001
        timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_any_time_is_taken_in_utc(when: datetime) -> None:
    assert as_time(when.isoformat()) == when
    assert as_time(when).tzinfo is UTC


# Where the database is.


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///ci.db", "sqlite:////somewhere/ci.db"),
        ("sqlite:///sub/../ci.db", "sqlite:////somewhere/sub/../ci.db"),
        ("sqlite+pysqlite:///ci.db", "sqlite+pysqlite:////somewhere/ci.db"),
        ("sqlite:////var/lib/ci.db", "sqlite:////var/lib/ci.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("postgresql://me@host/ci", "postgresql://me@host/ci"),
    ],
)
def test_a_relative_sqlite_path_is_relative_to_the_config(written: str, meant: str) -> None:
    assert parsed(f'database_url = "{written}"').database_url == meant


def test_the_home_folder_may_be_written_as_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert parsed('database_url = "sqlite:///~/ci.db"').database_url == "sqlite:////home/me/ci.db"
    assert source(token_file='"~/token"').token_file == Path("/home/me/token")


def test_the_environment_names_another_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", "postgresql://me@host/ci")
    assert parsed(EXAMPLE).database_url == "postgresql://me@host/ci"
    assert config.load(needed=False).database_url == "postgresql://me@host/ci"
    monkeypatch.setenv("RUNSYNC_DATABASE_URL", "")
    assert parsed("").database_url == "sqlite:////somewhere/runsync.db"


@pytest.mark.parametrize("name", ["a?b", "100%41", "a#b", "ä b", "a@b:c", "a;b"])
def test_the_folder_may_be_called_anything(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for written in ('database_url = "sqlite:///ci.db"', ""):
        Database(config.parse(written, folder / "runsync.toml").database_url).close()
    assert {path.name for path in folder.iterdir()} == {"ci.db", "runsync.db"}


# What is wrong: each sentence says where, what, and what to do.

WRONG = {
    "not TOML": ("[sync", "is not TOML"),
    "a key twice": ("[sync]\nconcurrency = 1\nconcurrency = 2", "is not TOML"),
    "nested without end": ("a = " + "[" * 5000, "is not TOML"),
    "unknown at the top": ('databse_url = "x"', "`databse_url` is not known; did you mean 'dat"),
    "unknown in sync": ("[sync]\nconcurency = 1", r"\[sync\]: `concurency`.*mean 'concurrency'"),
    "unknown in a source": (
        '[sources.wercker]\nbaseurl = "x"',
        r"\[sources\.wercker\]: `baseurl` is not known; did you mean 'base_url'",
    ),
    "unknown in a source of another name": (
        '[sources.ci]\ntyp = "wercker"',
        r"\[sources\.ci\]: `typ` is not known; did you mean 'type'",
    ),
    "unknown in pipelines": (
        '[sources.wercker]\n[[pipelines]]\nid = "a"\n[[pipelines]]\napplication = "b"',
        r"\[\[pipelines\]\] number 2: `application` is not known; did you mean 'application_id'",
    ),
    "unknown, and like none": (
        "zzz = 1",
        "known are: archive, checks, cost, database_url, pipelines, sources, sync",
    ),
    "sources misspelt": (
        '[source.wercker]\n[[pipelines]]\nsource = "wercker"\nid = "a"',
        "`source` is not known; did you mean 'sources'",
    ),
    "pipelines without any source": (
        '[[pipelines]]\nsource = "wercker"\nid = "a"',
        r"`source` 'wercker' is not configured; write a \[sources\.wercker\]",
    ),
    "a number for text": ("database_url = 5", "`database_url` must be text, not 5"),
    "a NUL": ('database_url = "a\\u0000b"', "`database_url` holds a NUL character"),
    "empty text": ('database_url = " "', "`database_url` is empty"),
    "text for a number": ('[sync]\nconcurrency = "8"', "must be a whole number from 1 to 64"),
    "true for a number": ("[sync]\nconcurrency = true", "must be a whole number from 1 to 64"),
    "a fraction": ("[sync]\nconcurrency = 1.5", "must be a whole number from 1 to 64"),
    "too few": ("[sync]\nconcurrency = 0", "must be from 1 to 64, not 0"),
    "too many": ("[sync]\nconcurrency = 65", "must be from 1 to 64, not 65"),
    "no date": ('[sync]\nsince = "yesterday"', "`since` must be a date such as"),
    "a clock's time": ("[sync]\nsince = 10:00:00", "`since` must be a date such as"),
    "a time before all times": (
        "[sync]\nsince = 0001-01-01T00:00:00+10:00",
        "`since` must be a date such as",
    ),
    "text for a table": ('sync = "8"', r"`sync` must be a table, written \[sync\]"),
    "text for the sources": ('sources = "wercker"', "`sources` must be a table"),
    "text for a source": ('[sources]\nwercker = "x"', r"a table, written \[sources\.wercker\]"),
    "a table for pipelines": ("[pipelines]\n", r"`pipelines` must be tables, each \[\[pipelines"),
    "texts for pipelines": ('pipelines = ["a"]', r"must be tables, each headed \[\[pipelines"),
    "unknown type": (
        '[sources.ci]\ntype = "werker"',
        "`type` 'werker' is not known; did you mean 'wercker'",
    ),
    "a name that is no type": (
        "[sources.ci]",
        "`type` 'ci' is not known; known are: azure, buildbot",
    ),
    "a token": ('[sources.wercker]\ntoken = "geheim"', "`token` is refused.*`token_env`"),
    "no base_url": ("[sources.buildbot]", "`base_url` is missing"),
    "no URL": ('[sources.wercker]\nbase_url = "app.wercker.com"', "must begin with https://"),
    "another protocol": ('[sources.wercker]\nbase_url = "ftp://x"', "must begin with https://"),
    "no host": ('[sources.wercker]\nbase_url = "https:///x"', "must begin with https://"),
    "broken brackets": ('[sources.wercker]\nbase_url = "http://[::1"', "`base_url` is no URL"),
    "no port": ('[sources.wercker]\nbase_url = "http://x:port"', "`base_url` is no URL"),
    "a port too high": ('[sources.wercker]\nbase_url = "http://x:99999"', "`base_url` is no URL"),
    "a space in the host": ('[sources.wercker]\nbase_url = "http://a b/"', "`base_url` is no URL"),
    "a line break in the URL": (
        '[sources.wercker]\nbase_url = "http://a\\nb/"',
        "`base_url` is no URL",
    ),
    "a query": ('[sources.wercker]\nbase_url = "http://x/?a=b"', "must end before any"),
    "two token places": (
        '[sources.wercker]\ntoken_env = "A"\ntoken_file = "b"',
        "more than one of token_env, token_file, token_command",
    ),
    "a command as text": ('[sources.wercker]\ntoken_command = "pass"', "must be a list of texts"),
    "a command of numbers": ("[sources.wercker]\ntoken_command = [1]", "must be a list of texts"),
    "an empty command": ("[sources.wercker]\ntoken_command = []", "`token_command` is empty"),
    "a pipeline of two sources": (
        '[sources.wercker]\n[sources.github]\n[[pipelines]]\nid = "a"',
        "`source` is missing",
    ),
    "a pipeline of an unknown source": (
        '[sources.wercker]\n[[pipelines]]\nsource = "werker"\nid = "a"',
        "`source` 'werker' is not configured; did you mean 'wercker'",
    ),
    "a pipeline without an id": (
        '[sources.wercker]\n[[pipelines]]\nname = "a"',
        "exactly one of id, application_id, repository; found none",
    ),
    "a pipeline with two ids": (
        '[sources.wercker]\n[[pipelines]]\nid = "a"\napplication_id = "b"',
        "exactly one of .*; found id and application_id",
    ),
    "a pipeline twice": (
        '[sources.wercker]\n[[pipelines]]\nid = "a"\n[[pipelines]]\nid = "a"\nname = "b"',
        r"two \[\[pipelines\]\] name id 'a'",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_in_a_sentence(text: str, sentence: str) -> None:
    assert re.search(sentence, refusal(text))


def test_a_password_in_the_base_url_is_refused_and_not_repeated() -> None:
    said = refusal('[sources.wercker]\nbase_url = "https://me:geheim@x"')
    assert "holds a password" in said
    assert "geheim" not in said


def test_a_token_in_the_config_is_not_repeated() -> None:
    for key in ("token", "tokens", "tokn"):
        assert "geheim" not in refusal(f'[sources.wercker]\n{key} = "geheim"')


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(
    "database_url sync sources pipelines concurrency since wercker github type base_url token "
    "token_env token_file token_command source id application_id repository name".split()
)


def toml(value: Any) -> str:
    """A value as inline TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        escaped = "".join(f"\\U{ord(c):08x}" if not c.isalnum() else c for c in value)
        return f'"{escaped}"'
    return '""' if value is None else str(value)


@given(
    st.dictionaries(
        KEYS,
        VALUES
        | st.dictionaries(KEYS, VALUES, max_size=4)
        | st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=3)
        | st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=3),
        max_size=4,
    )
)
def test_whatever_is_written_is_read_or_refused_in_a_sentence(tree: dict[str, Any]) -> None:
    text = "\n".join(f"{toml(key)} = {toml(value)}" for key, value in tree.items())
    with suppress(ConfigError):
        assert config.parse(text, PATH).path == PATH


@given(st.text(max_size=30), st.sampled_from(["http://", "https://", "http://host", "http://["]))
def test_a_base_url_that_is_accepted_can_be_asked(tail: str, head: str) -> None:
    text = f"[sources.wercker]\nbase_url = {toml(head + tail)}"
    try:
        found = config.parse(text, PATH).sources["wercker"]
    except ConfigError:
        return
    made = open_source(found)
    assert made.client.base_url == found.base_url
    made.close()


# Which file is read.


def test_the_file_is_looked_for_in_four_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    here.mkdir()
    monkeypatch.chdir(here)
    assert config.find() is None
    with pytest.raises(ConfigError, match=r"there is no runsync.toml here.*runsync init"):
        config.load()
    own = config.user_file()
    own.parent.mkdir(parents=True)
    for path in (own, here / "runsync.toml", tmp_path / "env.toml", tmp_path / "given.toml"):
        path.write_text("[sync]\nconcurrency = 3")
        if path.name == "env.toml":
            monkeypatch.setenv("RUNSYNC_CONFIG", str(path))
        given = path if path.name == "given.toml" else None
        assert config.find(given) == path
        assert config.load(given).concurrency == 3


def test_a_file_that_was_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runsync.toml").touch()
    with pytest.raises(ConfigError, match=r"no config file nowhere.toml; `runsync init`"):
        config.load(Path("nowhere.toml"))
    monkeypatch.setenv("RUNSYNC_CONFIG", "gone.toml")
    with pytest.raises(ConfigError, match=r"no config file gone.toml"):
        config.load()


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a folder"):
        config.load(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes('[sources.wercker]\nname = "Müller"'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"is not UTF-8 text"):
        config.load(latin)
    with pytest.raises(ConfigError, match=r"cannot be read|no config file"):
        config.load(latin / "below-a-file.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    closed = tmp_path / "closed.toml"
    closed.touch(mode=0)
    with pytest.raises(ConfigError, match=r"cannot be read: Permission denied"):
        config.load(closed)


# Tokens.


def test_a_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    found = source(token_env='"WERCKER_TOKEN"')
    with pytest.raises(ConfigError, match=r"variable WERCKER_TOKEN holds no token for source 'wer"):
        found.token()
    monkeypatch.setenv("WERCKER_TOKEN", "  geheim\n")
    assert found.token() == "geheim"
    assert source().token() is None


def test_a_token_is_not_kept_where_it_could_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WERCKER_TOKEN", "geheim")
    opened = open_source(source(token_env='"WERCKER_TOKEN"'))
    shown = repr([opened, opened.client, vars(opened), opened._config, opened.client._request])
    opened.close()
    assert "geheim" not in shown


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text("geheim\n")
    path.chmod(mode)
    found = source(token_file=f'"{path}"')
    with pytest.raises(ConfigError, match=f"others may read .*chmod 600 {path}") as caught:
        found.token()
    assert "geheim" not in str(caught.value)
    path.chmod(0o600)
    assert found.token() == "geheim"


def test_a_token_file_is_relative_to_the_config(tmp_path: Path) -> None:
    path = tmp_path / "runsync.toml"
    found = config.parse('[sources.wercker]\ntoken_file = "token"', path).sources["wercker"]
    assert found.token_file == tmp_path / "token"
    with pytest.raises(ConfigError, match=r"token file .* cannot be read"):
        found.token()
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    (tmp_path / "token").chmod(0o600)
    with pytest.raises(ConfigError, match=r"token file .* cannot be read"):
        found.token()


@pytest.mark.parametrize("bad", ["ge heim", "ge\nheim", "gehéim", "ge\x1bheim", ""])
def test_what_is_no_token_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    monkeypatch.setenv("WERCKER_TOKEN", bad)
    with pytest.raises(ConfigError, match=r"holds (no token|something that is no token)") as caught:
        source(token_env='"WERCKER_TOKEN"').token()
    assert not bad or bad not in str(caught.value)


def command(*words: str) -> SourceConfig:
    return SourceConfig("wercker", "wercker", "https://x", token_command=words)


def test_a_token_comes_from_a_command() -> None:
    assert command("printf", "geheim\\nand more").token() == "geheim"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sh", "-c", "echo geheim; exit 3"), "`sh` ended with exit code 3"),
        (("no-such-command-anywhere",), "`no-such-command-anywhere` did not work"),
        (("true",), "`true` holds no token"),
        (("printf", "\\377\\376"), "`printf` did not work"),
        (("print\0f",), "did not work"),
    ],
    ids=["fails", "is not there", "says nothing", "says no text", "has a NUL"],
)
def test_a_token_command_that_gives_none(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        command(*words).token()
    assert "geheim" not in str(caught.value)


def test_a_token_command_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "_TOKEN_COMMAND_SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(ConfigError, match=r"`sh` did not work: no answer in 0.2 s") as caught:
        command("sh", "-c", "echo geheim; sleep 60 & sleep 60").token()
    assert "geheim" not in str(caught.value)
    assert time.monotonic() - began < 5


def test_a_config_is_read_by_another_process_with_another_locale(tmp_path: Path) -> None:
    """The file is UTF-8 wherever it is read."""
    path = tmp_path / "runsync.toml"
    path.write_text(f'[sources.wercker]\n[[pipelines]]\nid="{ID}"\nname="Prüfung 🚀"', "utf-8")
    program = (
        "import sys, pathlib, runsync.config as c;"
        "print(ascii(c.load(pathlib.Path(sys.argv[1])).pipelines[0].name))"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", program, str(path)],
        env={"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == ascii("Prüfung 🚀")


def test_prices_of_a_minute_are_read_in_their_order(tmp_path: Path) -> None:
    text = '[cost]\n"ubuntu-big" = 1\n"ubuntu-*" = 0.008\n'
    assert list(config.parse(text, tmp_path / "c.toml").cost.items()) == [
        ("ubuntu-big", 1.0),
        ("ubuntu-*", 0.008),
    ]
    assert config.parse("", tmp_path / "c.toml").cost == {}


@pytest.mark.parametrize("price", ["-1", '"much"', "true", "inf", "nan"])
def test_what_is_no_price_is_refused(tmp_path: Path, price: str) -> None:
    with pytest.raises(ConfigError, match=r"\[cost\]: `mac` must be a price such as 0.008"):
        config.parse(f"[cost]\nmac = {price}\n", tmp_path / "c.toml")
