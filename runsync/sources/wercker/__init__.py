"""Wercker's v3 runs API: the reference source."""

from runsync.providers import Provider

PROVIDER = Provider(
    "Wercker",
    source_class="Wercker",
    default_url="https://app.wercker.com",
    has_details=True,
)
