"""Buildbot: the REST API v2."""

from runsync.providers import Provider

PROVIDER = Provider("Buildbot", source_class="Buildbot")
