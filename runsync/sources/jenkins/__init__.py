"""Jenkins: the remote access API, and the stages that its plugins tell."""

from runsync.providers import Provider

PROVIDER = Provider("Jenkins", source_class="Jenkins")
