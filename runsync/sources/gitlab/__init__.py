"""GitLab CI: the REST API v4."""

from runsync.providers import Provider

PROVIDER = Provider("GitLab", source_class="GitLab", default_url="https://gitlab.com")
