"""Where things stand in Azure DevOps: names that are checked, paths, and what an answer holds."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from runsync.errors import ConfigError, NotFoundError, SourceError
from runsync.http.client import Response, checked_path
from runsync.records import Pipeline, Run
from runsync.sources import base
from runsync.sources.azure.payloads import Project, read_run
from runsync.sources.fields import rows_in

VERSION = {"api-version": "7.1"}
CONTINUATION = "x-ms-continuationtoken"
Asked = Mapping[str, str | int | None]
# What Azure DevOps forbids in the name of a project, and control characters.
_NO = r"\x00-\x20\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\\/:*?\"<>|;#$}{,+=\[\]%"
_PROJECT = rf"(?![._])[^{_NO}](?:[^{_NO}]| (?! )){{0,63}}(?<![. ])"
_NAME = re.compile(_PROJECT)
_ID = re.compile(rf"({_PROJECT})/([1-9][0-9]{{0,9}})")
_CLOUD = "dev.azure.com"


class Organisation(base.Source):
    """The organisation that ``base_url`` names."""

    def project(self, name: str) -> Project:
        """A project by its name or id, in lower case, since Azure DevOps does not mind case.

        Raises:
            ConfigError: it is none, or ``base_url`` names no organisation.
        """
        url = urlsplit(self._config.base_url)
        if url.hostname == _CLOUD and url.path.strip("/").count("/") + bool(url.path) != 1:
            raise ConfigError(
                f"`base_url` of source {self.name!r} names no organisation; write "
                f"https://{_CLOUD}/ORGANISATION"
            )
        if _NAME.fullmatch(name) is None:
            raise self.bad_name(name, "project of Azure DevOps; write its name or id, and no URL")
        return Project(self._config.base_url, name.lower())

    def definition(self, external_id: str) -> tuple[Project, int]:
        """The project and the number of a definition, from an ``id`` such as ``project/12``.

        Raises:
            ConfigError: it is none.
        """
        if (found := _ID.fullmatch(external_id)) is None:
            what = "definition of Azure Pipelines; write the project and the definition's number"
            raise self.bad_name(external_id, f"{what}, such as project/12")
        return self.project(found[1]), int(found[2])

    @staticmethod
    def builds(project: Project) -> str:
        """The path of a project's builds."""
        return checked_path(project.name, "_apis", "build", "builds")

    def path(self, pipeline: Pipeline, *parts: str) -> str:
        """A path below the project of a pipeline."""
        project, _ = self.definition(pipeline.external_id)
        return checked_path(project.name, "_apis", "build", *parts)

    def one(self, answer: Response, pipeline: Pipeline) -> Run:
        """The run of an answer.

        Raises:
            NotFoundError: it is deleted, or of another pipeline.
            SourceError: it cannot be read.
        """
        project, _ = self.definition(pipeline.external_id)
        with self.reading():
            run = read_run(answer.data, project)
        if answer.data.get("deleted") is True:
            raise NotFoundError(f"{self.name}: run {run.id} is deleted", answer.as_of)
        if run.key[0] != pipeline.external_id:
            what = f"run {run.id} is of {run.key[0]}, not of {pipeline.external_id}"
            raise NotFoundError(f"{self.name}: {what}", answer.as_of)
        return run


def counted_rows(answer: Response, what: str) -> list[object]:
    """The rows of an answer.

    Raises:
        SourceError: it holds no list, or not as many rows as it counts.
    """
    rows, count = rows_in(answer.data, what, "value"), answer.data.get("count")
    if isinstance(count, int) and len(rows) != count:
        raise SourceError(f"{what}: {len(rows)} rows came where {count} are due; sync again")
    return rows
