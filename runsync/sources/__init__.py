"""The CI services that runsync reads. One file per provider; each is a ``base.Source``."""

from importlib import import_module

from runsync.config import SourceConfig
from runsync.http.client import Limits
from runsync.sources.base import Source

_CLASSES = {
    "wercker": "Wercker",
    "buildbot": "Buildbot",
    "github": "GitHub",
    "gitlab": "GitLab",
}


def open_source(
    config: SourceConfig, *, concurrency: int = 8, limits: Limits | None = None
) -> Source:
    """The source that a ``[sources.NAME]`` names. Only its provider's file is loaded."""
    module = import_module(f"runsync.sources.{config.type}.source")
    kind: type[Source] = getattr(module, _CLASSES[config.type])
    return kind(config, concurrency=concurrency, limits=limits)


__all__ = ["Source", "open_source"]
