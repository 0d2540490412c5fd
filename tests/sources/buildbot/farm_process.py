"""Runs a Buildbot master, or a worker, on free loopback ports, until its standard input ends.

farm_process.py master FOLDER         prints {"web": PORT, "workers": PORT} once up
farm_process.py worker FOLDER PORT    works for the builder "lossy"
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from buildbot.config.master import MasterConfig
from buildbot.master import BuildMaster
from buildbot.plugins import schedulers, steps, util, worker
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import Results
from buildbot_worker.bot import Worker
from twisted.internet import defer, reactor
from twisted.python import log

LOCAL = "tcp:0:interface=127.0.0.1"
DATABASE = "sqlite:///state.sqlite"
STAGES = 60
# Sleeps on its first attempt, and passes on the next.
ONCE = "if [ -e %(prop:reason)s ]; then exit 0; fi; touch %(prop:reason)s; sleep 300"


class Outcome(BuildStep):
    """Ends as the property ``outcome`` says. Where it passes, it is hidden."""

    name = "outcome"

    async def run(self) -> int:
        outcome = self.getProperty("outcome", "success")
        if outcome == "exception":
            raise RuntimeError("an exception is wanted")
        await self.addURL("report", "https://example.org/report")
        self.setProperty("got_revision", self.getProperty("revision") or "0ff1ce", "Outcome")
        await self.addCompleteLog("stdio", "first\n")
        await self.addCompleteLog("grüße", f"ended in {outcome}\n")
        return int(Results.index(outcome))


def shell(command: Any, name: str) -> Any:
    return steps.ShellCommand(command=command, name=name)


def builder(name: str, *todo: Any, workername: str = "steady", **options: Any) -> Any:
    settings = {"collapseRequests": False} | options
    factory = util.BuildFactory(list(todo))
    return util.BuilderConfig(name=name, workernames=[workername], factory=factory, **settings)


def configured() -> dict[str, Any]:
    outcome = Outcome(warnOnWarnings=True, hideStepIf=lambda results, step: results == 0)
    builders = [
        builder("linux / gcc 13 – größe", shell(["echo", "hällo"], "say hello"), outcome),
        builder("2", outcome, tags=["nightly", "größe"]),
        builder("codebases", outcome, workername="absent"),
        builder("slow", shell(["sleep", "300"], "sleep"), workername="single"),
        builder("merging", outcome, workername="absent", collapseRequests=True),
        builder("lossy", shell(["sh", "-c", util.Interpolate(ONCE)], "once"), workername="lossy"),
        # After an exception Buildbot leaves the worker alone for ten seconds.
        builder("fragile", outcome, workername="fragile"),
        builder("idle", outcome),
        *(builder(f"stage {n}", outcome, workername="absent") for n in range(STAGES)),
    ]
    force = {
        "username": util.UserNameParameter(need_email=False),
        "properties": [
            util.StringParameter("outcome", default="success"),
            util.StringParameter("PASSWORD"),
            util.BooleanParameter("clean"),
            util.FixedParameter("fixed", default="1"),
        ],
    }
    names = [b.name for b in builders if b.name not in ("codebases", "idle")]
    return {
        "workers": [
            worker.LocalWorker("steady"),
            worker.LocalWorker("fragile"),
            worker.LocalWorker("single", max_builds=1),
            worker.Worker("lossy", "pass"),
            worker.Worker("absent", "pass"),
        ],
        "builders": builders,
        "schedulers": [
            schedulers.ForceScheduler("force", names, **force),
            schedulers.ForceScheduler("two", ["codebases"], codebases=["one", "other"], **force),
            schedulers.Triggerable("nobody", ["idle"]),
        ],
        "protocols": {"pb": {"port": LOCAL}},
        "www": {"port": LOCAL, "plugins": {}},
        "db": {"db_url": DATABASE},
        "buildbotURL": "http://localhost/",
        "buildbotNetUsageData": None,
    }


class Loader:
    """What BuildMaster reads its settings from, instead of a master.cfg."""

    def loadConfig(self) -> MasterConfig:  # noqa: N802 - Buildbot's name
        return MasterConfig.loadFromDict(configured(), __file__)


@defer.inlineCallbacks
def start_master(folder: Path) -> Any:
    blank = BuildMaster(str(folder))
    blank.config = MasterConfig()
    blank.config.db.db_url = DATABASE
    yield blank.db.setup(check_version=False, verbose=False)
    yield blank.db.model.upgrade()
    master = BuildMaster(str(folder), config_loader=Loader())
    yield master.startService()
    (dispatcher,) = master.pbmanager.dispatchers.values()
    ports = {"web": master.www.getPortnum(), "workers": dispatcher.port.getHost().port}
    print(json.dumps(ports), file=sys.__stdout__, flush=True)


def start_worker(folder: Path, port: str) -> None:
    there = f"tcp:host=127.0.0.1:port={port}"
    Worker(None, None, "lossy", "pass", str(folder), 0, connection_string=there).startService()


def end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def give_up(failure: Any) -> None:
    failure.printTraceback()
    os._exit(1)


def main(role: str, folder: Path, port: str = "") -> None:
    folder.mkdir(exist_ok=True)
    log.startLogging((folder / "twistd.log").open("w"), setStdout=False)
    threading.Thread(target=end_with_parent, daemon=True).start()
    if role == "master":
        reactor.callWhenRunning(lambda: start_master(folder).addErrback(give_up))
    else:
        start_worker(folder, port)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
