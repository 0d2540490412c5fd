"""The CI services that runsync reads: one folder of ``runsync/sources/`` each.

What is known of a provider without loading its code: its package holds a :class:`Provider` as
``PROVIDER``. A new folder is a new type; nothing else has to name it.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Provider:
    """The facts of a provider.

    Attributes:
        title: its name, as people write it.
        source_class: the ``Source`` in the folder's ``source.py``.
        default_url: where the service usually answers; None where every installation has its own.
        has_details: whether a run's detail tells more than is read of it unless `details` is set.
    """

    title: str
    source_class: str
    default_url: str | None = None
    has_details: bool = False


@cache
def provider_types() -> tuple[str, ...]:
    """What ``type`` of a ``[sources.NAME]`` may be: the names of the folders."""
    folders = files("runsync").joinpath("sources").iterdir()
    return tuple(
        sorted(f.name for f in folders if f.is_dir() and f.joinpath("source.py").is_file())
    )


def provider(kind: str) -> Provider:
    """The facts of one of :func:`provider_types`."""
    found: Provider = import_module(f"runsync.sources.{kind}").PROVIDER
    return found
