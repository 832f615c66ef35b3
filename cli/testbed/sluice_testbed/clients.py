#!/usr/bin/python3
"""Starts real clients at their times, inside the network namespace of the clients.

Usage: clients.py SPEC.json; see ClientDriver for what is in it. Prints what they measured as JSON;
SIGTERM ends it early, with what there is.
"""

import asyncio
import json
import signal
import sys
import time

CLIENT_COUNT_MAX = 256  # At the same time; more wait.
BLOCK_SIZE_MAX = 1 << 17  # iperf3's own default for TCP.
UDP_HEADERS = 14 + 20 + 8  # Ethernet, IPv4, UDP.
GRACE_SECONDS = 0.5  # For transfers to end after the run: what is under way comes out.
BUSY_TRIES = 20
INTERVAL = "0.1"


class Driver:
    def __init__(self, spec):
        self.spec = spec
        self.zero = spec["time_zero_ns"]
        self.end_ns = spec["end_ns"]
        self.results = []
        self.late_max_ns = 0
        self.slots = asyncio.Semaphore(CLIENT_COUNT_MAX)
        self.servers = asyncio.Queue()
        for address in spec["servers"]:
            self.servers.put_nowait(address)

    def now_ns(self):
        return time.monotonic_ns() - self.zero

    async def until(self, at_ns):
        await asyncio.sleep(max(0, at_ns - self.now_ns()) * 1e-9)

    async def run_program(self, *command):
        """Its stdout; ended when we are."""
        process = await asyncio.create_subprocess_exec(
            *map(str, command), stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL)
        try:
            out, _ = await process.communicate()
            return out
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def transfer(self, start_ns, size):
        await self.until(start_ns)
        result = {"start_ns": start_ns, "bytes": 0, "finished": False, "spans": []}
        self.results.append(result)
        async with self.slots:
            self.late_max_ns = max(self.late_max_ns, self.now_ns() - start_ns)
            if self.spec["client"] == "curl":
                await self.fetch(result, size)
            else:
                await self.push(result, size)

    async def fetch(self, result, size):
        """A GET of so many bytes: of what nginx has, a range."""
        address, port = self.spec["servers"][0], self.spec["port"]
        out = await self.run_program(
            "curl", "-q", "--silent", "--noproxy", "*", "--interface", self.spec["bind"],
            "--range", f"0-{size - 1}", "--output", "/dev/null", "--write-out", "%{json}",
            f"http://{address}:{port}/blob")
        end_ns = self.now_ns()
        said = json.loads(out)
        # Without the time that the process took to start and to end.
        result["completion_ns"] = int(said["time_total"] * 1e9)
        result["bytes"] = said["size_download"]
        result["finished"] = said["http_code"] == 206 and said["size_download"] == size
        first_byte = end_ns - int((said["time_total"] - said["time_starttransfer"]) * 1e9)
        result["spans"] = [[first_byte, end_ns, said["size_download"]]]

    async def push(self, result, size):
        """An iperf3 test of so many bytes; its blocks are whole, so it may send up to one more."""
        for _ in range(BUSY_TRIES):
            address = await self.servers.get()
            begin_ns = self.now_ns()
            try:
                out = await self.run_program(
                    "iperf3", "-c", address, "-B", self.spec["bind"], "-p", self.spec["port"],
                    "-n", size, "-l", min(size, BLOCK_SIZE_MAX), "-i", INTERVAL, "-J")
            finally:
                self.servers.put_nowait(address)
            said = json.loads(out or "{}")
            if "busy" not in said.get("error", ""):
                break
            await asyncio.sleep(0.05)  # The server is still at its end of the test before.
        sent = said.get("end", {}).get("sum_sent", {})
        received = said.get("end", {}).get("sum_received", {})
        # The server stops counting when it hears of the end, which overtakes the last data.
        result["bytes"] = received.get("bytes", 0)
        result["completion_ns"] = int(received.get("seconds", 0) * 1e9)
        result["finished"] = "error" not in said and sent.get("bytes", 0) >= size
        result["spans"] = spans_of(said, begin_ns)

    async def datagrams(self):
        """iperf3's UDP at one rate, from start to stop."""
        await self.until(self.spec["start_ns"])
        payload = self.spec["frame_size"] - UDP_HEADERS
        begin_ns = self.now_ns()
        self.late_max_ns = begin_ns - self.spec["start_ns"]
        # iperf3 counts payload, a deployment whole frames. Its tests last whole seconds or bytes.
        seconds = (self.spec["stop_ns"] - self.spec["start_ns"]) * 1e-9
        rate = self.spec["rate_bps"] * payload // self.spec["frame_size"]
        count = max(1, int(rate * seconds / 8 / payload))
        result = {"start_ns": self.spec["start_ns"], "bytes": 0, "finished": False, "spans": []}
        self.results.append(result)
        out = await self.run_program(
            "iperf3", "-c", self.spec["servers"][0], "-B", self.spec["bind"], "-p",
            self.spec["port"], "-u", "-b", rate, "-l", payload, "-k", count, "-i", INTERVAL, "-J")
        said = json.loads(out or "{}")
        total = said.get("end", {}).get("sum", {})
        result["packets"] = total.get("packets", 0)
        result["lost_packets"] = total.get("lost_packets", 0)
        result["bytes"] = result["packets"] * self.spec["frame_size"]
        result["finished"] = "error" not in said
        result["error"] = said.get("error", "")
        result["spans"] = [[begin, end, size // payload * self.spec["frame_size"]]
                           for begin, end, size in spans_of(said, begin_ns)]

    async def run(self):
        """All clients; those that are not done some time after the end are given up."""
        if self.spec["kind"] == "constant":
            tasks = [asyncio.create_task(self.datagrams())]
        else:
            tasks = [asyncio.create_task(self.transfer(start, size))
                     for start, size in self.spec["transfers"]]
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        stopped = asyncio.create_task(stop.wait())
        left = (self.end_ns - self.now_ns()) * 1e-9 + GRACE_SECONDS
        everything = asyncio.gather(*tasks)
        await asyncio.wait([everything, stopped], timeout=max(0, left),
                           return_when=asyncio.FIRST_COMPLETED)
        for task in (everything, stopped):
            task.cancel()
        await asyncio.gather(everything, stopped, *tasks, return_exceptions=True)
        failed = [task.exception() for task in tasks if not task.cancelled() and task.exception()]
        if failed:
            raise failed[0]
        return {"transfers": self.results, "late_max_ns": self.late_max_ns}


def spans_of(said, begin_ns):
    """(begin, end, bytes) of each interval that iperf3 reported."""
    spans = []
    for interval in said.get("intervals", []):
        total = interval["sum"]
        spans.append([begin_ns + int(total["start"] * 1e9), begin_ns + int(total["end"] * 1e9),
                      total["bytes"]])
    return spans


def main():
    with open(sys.argv[1], encoding="utf-8") as stream:
        spec = json.load(stream)
    if sys.version_info < (3, 12):  # Later ones do so by themselves.
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    json.dump(asyncio.run(Driver(spec).run()), sys.stdout)


if __name__ == "__main__":
    main()
