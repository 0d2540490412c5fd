"""Buildkite: the REST API v2."""

from runsync.providers import Provider

PROVIDER = Provider("Buildkite", source_class="Buildkite", default_url="https://api.buildkite.com")
