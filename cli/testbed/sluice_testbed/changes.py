"""The changes of the file, brought to the running hosts at their times, as `sluice apply` does."""

import copy
import json

from .problem import Failure

CHANGE_SECONDS = 15.0  # The host gives up after 10.


class ChangePlan:
    """Which chain takes other steps when. A host is given the whole file as it is from then on."""

    def __init__(self, deployment, hosts):
        self.file = deployment.file
        self.hosts = hosts  # By name.
        self.present = copy.deepcopy(deployment.json)
        self.changes = sorted(deployment.changes, key=lambda change: change.at_ns, reverse=True)

    @property
    def next_ns(self):
        return self.changes[-1].at_ns if self.changes else None

    def do_next(self, _now_ns):
        change = self.changes.pop()
        chain = self.present["chains"][change.chain]
        chain["steps"] = change.steps
        host = self.hosts[chain["from"].split(".")[0]]
        if host.killed:
            return
        answer = host.request({"do": "apply", "file": json.dumps(self.present), "path": self.file},
                              CHANGE_SECONDS)
        if answer is None or not answer.get("ok"):
            reason = "no answer" if answer is None else answer.get("error", "refused")
            raise Failure(f"host {host.name}", f"chain {change.chain} could not be changed", reason)
