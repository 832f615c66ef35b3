"""The faults of the file, done to real processes at their times."""

import dataclasses
import os
import signal

from .deployment import Fault


@dataclasses.dataclass(order=True)
class Step:
    at_ns: int
    order: int
    fault: Fault = dataclasses.field(compare=False)
    begin: bool = dataclasses.field(compare=False)


class FaultPlan:
    """What is to be done when, in its order; and what came of it, as events of the run."""

    def __init__(self, faults, hosts, duration_ns):
        self.hosts = hosts  # By name.
        self.events = []
        self.counts = {}
        self.stopped = {}  # By the fault's place: descriptors of the processes that it stopped.
        self.steps = []
        for order, fault in enumerate(faults):
            self.steps.append(Step(fault.at_ns, order, fault, True))
            if fault.for_ns is not None and fault.at_ns + fault.for_ns <= duration_ns:
                self.steps.append(Step(fault.at_ns + fault.for_ns, order, fault, False))
        self.steps.sort(reverse=True)

    @property
    def next_ns(self):
        return self.steps[-1].at_ns if self.steps else None

    def do_next(self, now_ns):
        step = self.steps.pop()
        done = self._begin(step) if step.begin else self._end(step)
        if step.begin and done and step.fault.what != "disturb_link":
            self.counts[step.fault.what] = self.counts.get(step.fault.what, 0) + 1
        self.events.append({"at_ns": now_ns, "kind": "fault", "what": step.fault.what,
                            "begin": step.begin, "done": done})

    def _begin(self, step):
        """@return Whether there was something to do it to: an instance may have ended before."""
        fault = step.fault
        if fault.what == "disturb_link":
            return True  # sluice-traffic does it by itself: it reads the same file.
        if fault.what == "kill_host":
            self.hosts[fault.host].kill()
            return True
        if fault.what == "pause_host":
            host = self.hosts[fault.host]
            # The daemon first: it shall not see its instances stand still.
            return self._stop(step, [host.child.pid, *host.instance_pids()])
        pids = [pid for host in self.hosts.values()
                for pid in host.instance_pids(fault.service, fault.instance)]
        if fault.what == "hang_instance":
            return self._stop(step, pids)
        return any([self._signal(pid, signal.SIGKILL) for pid in pids])

    @staticmethod
    def _signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def _stop(self, step, pids):
        """A descriptor names the same process for ever; its number may be another's by the end."""
        stopped = []
        for pid in pids:
            try:
                process = os.pidfd_open(pid)
                signal.pidfd_send_signal(process, signal.SIGSTOP)
                stopped.append(process)
            except ProcessLookupError:
                pass
        self.stopped[step.order] = stopped
        return bool(stopped)

    def _end(self, step):
        # Instances first, as after a pause of the machine none is late for its host.
        for process in reversed(self.stopped.pop(step.order, [])):
            try:
                signal.pidfd_send_signal(process, signal.SIGCONT)
            except ProcessLookupError:
                pass  # Found hung, and killed.
            os.close(process)
        return True

    def release_all(self):
        """Lets everything go on that stands still, so that it can be ended."""
        for order in list(self.stopped):
            self._end(Step(0, order, None, False))
