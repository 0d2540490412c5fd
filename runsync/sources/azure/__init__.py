"""Azure Pipelines: the REST API 7.1 of Azure DevOps."""

from runsync.providers import Provider

PROVIDER = Provider("Azure Pipelines", source_class="Azure")
