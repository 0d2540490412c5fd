"""CircleCI: the API v2, and v1.1 for logs."""

from runsync.providers import Provider

PROVIDER = Provider(
    "CircleCI",
    source_class="CircleCI",
    default_url="https://circleci.com",
    has_details=True,
)
