"""How a test gets a source that reads the simulated GitHub, and walks its listings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runsync.config import PipelineConfig, SourceConfig
from runsync.http.client import Limits
from runsync.records import Cursor, Problem
from runsync.sources import open_source
from runsync.sources.base import Listed, Listing, Page, ResumePoint
from runsync.sources.github.source import GitHub
from tests.sources.github.server import TOKEN, Server, Service
from tests.sources.github.world import World

TOKEN_ENV = "GITHUB_TEST_TOKEN"
QUICK = Limits(connect=10, read=10, whole=20, tries=3, first_pause=0.01, longest_wait=3)


def renewed(server: Server, world: World) -> Service:
    """A fresh service behind a server that runs."""
    service = Service(world)
    service.base = f"http://127.0.0.1:{server.server_address[1]}"
    server.RequestHandlerClass.service = service  # type: ignore[attr-defined]
    return service


def github_at(base_url: str) -> GitHub:
    made = open_source(
        SourceConfig("gh", "github", base_url, token_env=TOKEN_ENV), concurrency=4, limits=QUICK
    )
    assert isinstance(made, GitHub)
    return made


@contextmanager
def small_pages(server: Server, world: World) -> Iterator[tuple[Service, GitHub]]:
    """A service whose pages and caps are as small as its world says, and a source that knows."""
    service = renewed(server, world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_ENV, TOKEN)
        patch.setattr(GitHub, "most_listed", world.cap)
        patch.setattr(GitHub, "page_size", world.page)
        made = github_at(service.base)
        yield service, made
        made.close()


def workflow(source: GitHub, name: str = "ci.yml") -> Listing:
    return source.listing(PipelineConfig("gh", id=f"Octo-Org/Hello.World/{name}"))


def repository(source: GitHub) -> Listing:
    return source.listing(PipelineConfig("gh", repository="Octo-Org/Hello.World"))


def walked(
    source: GitHub,
    listing: Listing | None = None,
    *,
    resume_point: Cursor | None = None,
    memory: dict[str, Any] | None = None,
) -> list[Page]:
    """A walk to its end."""
    return list(
        source.pages(
            listing or workflow(source),
            ResumePoint(resume_point, 0) if resume_point else None,
            {} if memory is None else memory,
        )
    )


def listed(pages: Iterable[Page]) -> list[Listed]:
    return [item for page in pages for item in page.items if isinstance(item, Listed)]


def run_ids(pages: Iterable[Page]) -> list[str]:
    return [item.run.id for item in listed(pages)]


def problems(pages: Iterable[Page]) -> list[Problem]:
    return [item for page in pages for item in page.items if isinstance(item, Problem)]
