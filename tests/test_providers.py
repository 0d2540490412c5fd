"""A provider is a folder: its facts are found there, and cost no heavy import."""

import subprocess
import sys

import pytest

from runsync.config import SourceConfig
from runsync.providers import provider, provider_types
from runsync.sources import open_source


def test_each_folder_is_a_type() -> None:
    assert {"buildbot", "github", "gitlab", "wercker"} <= set(provider_types())


@pytest.mark.parametrize("kind", provider_types())
def test_each_type_opens_with_its_title(kind: str) -> None:
    facts = provider(kind)
    config = SourceConfig("mine", kind, facts.default_url or "http://127.0.0.1:9")
    source = open_source(config)
    assert (source.name, source.type, source.title) == ("mine", kind, facts.title)
    source.close()


def test_the_facts_load_no_http_client() -> None:
    code = (
        "import sys\n"
        "from runsync.providers import provider, provider_types\n"
        "[provider(kind) for kind in provider_types()]\n"
        "assert not {'requests', 'sqlalchemy', 'runsync.sources.base'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
