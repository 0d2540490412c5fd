"""The reports, one file each. A new file here that sets ``REPORT`` is a new report.

It then is a function of ``runsync.reports``, a command of ``runsync report``, something that
``compare`` compares, and a section of the HTML page.
"""

from importlib import import_module
from pkgutil import iter_modules

from runsync.errors import ConfigError
from runsync.reports.report import Report
from runsync.text import did_you_mean


def _found() -> list[Report]:
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return sorted((module.REPORT for module in modules), key=lambda report: report.order)


REPORTS: dict[str, Report] = {report.name: report for report in _found()}


def report_named(name: str) -> Report:
    """The report of that function's or command's name.

    Raises:
        ConfigError: there is none; the text names the nearest.
    """
    for report in REPORTS.values():
        if name in (report.name, report.command):
            return report
    raise ConfigError(f"there is no report {name!r}{did_you_mean(name, list(REPORTS))}")
