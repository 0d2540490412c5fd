"""GitHub Actions: the REST API."""

from runsync.providers import Provider

PROVIDER = Provider("GitHub", source_class="GitHub", default_url="https://api.github.com")
