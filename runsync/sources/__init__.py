"""The CI services that runsync reads, a folder each. README.md says how another is added."""

from importlib import import_module
from typing import TYPE_CHECKING

from runsync.providers import provider

# Importing a provider's facts runs this file: it loads nothing heavy.
if TYPE_CHECKING:
    from runsync.config import SourceConfig
    from runsync.http.client import Limits
    from runsync.sources.base import Source


def open_source(
    config: "SourceConfig", *, concurrency: int = 8, limits: "Limits | None" = None
) -> "Source":
    """The source that a ``[sources.NAME]`` describes. Only its provider's code is loaded."""
    module = import_module(f"runsync.sources.{config.type}.source")
    source_class: type[Source] = getattr(module, provider(config.type).source_class)
    return source_class(config, concurrency=concurrency, limits=limits)


__all__ = ["open_source"]
