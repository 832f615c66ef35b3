#!/usr/bin/python3
"""Runs the example script of backends/ns3/examples and checks what it prints and captures.

Usage: test_web_behind_sluice.py PROGRAM csma|burst|bad
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BULK_BYTES = 10_000_000


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def flows_of(text):
    """(source, destination address:port) to (sent, received) packets, as FlowMonitor saw them."""
    pattern = r"^flow (\S+):\d+ -> (\S+) tx (\d+) rx (\d+)"
    found = re.findall(pattern, text, re.M)
    return {(a, b): (int(tx), int(rx)) for a, b, tx, rx in found if not b.startswith("10.0.0.1:")}


def ports_of(text):
    found = re.findall(r"^port (\S+) received (\d+) sent (\d+)", text, re.M)
    return {name: (int(received), int(sent)) for name, received, sent in found}


def check_output(text):
    goodput = re.search(r"^goodput_bytes bulk (\d+) stream (\d+) shell (\d+)$", text, re.M)
    bulk, stream, shell = (int(each) for each in goodput.groups())
    assert bulk == BULK_BYTES, "the bulk transfer must be complete, and no byte more"
    assert stream > 500_000, "0.2 of 0.3 seconds at 5 Mbit/s"
    assert shell == 0, "the firewall lets nothing through to port 22"

    flows = flows_of(text)
    assert sum(1 for line in text.splitlines() if line.startswith("flow ")) == 5
    sent, received = flows["10.0.0.1", "10.0.0.4:80"]
    assert sent >= received >= BULK_BYTES // 1448, "FlowMonitor must see the bulk flow arrive"
    sent, received = flows["10.0.0.2", "10.0.0.5:80"]
    assert sent >= received > 500
    sent, received = flows["10.0.0.3", "10.0.0.4:22"]
    assert sent > 0 and received == 0

    ports = ports_of(text)
    host = re.search(r"^host flows (\d+) dropped (\d+) by_rule (\d+)$", text, re.M)
    started, dropped, by_rule = (int(each) for each in host.groups())
    assert started == 5, "three of the clients, two of them with replies"
    assert dropped == by_rule == sent, "what port 22 was sent, and nothing else"
    came = sum(received for received, _ in ports.values())
    went = sum(out for _, out in ports.values())
    # The run ends in the middle of nothing: both transfers pause or are over.
    assert came - went - dropped in range(0, 33), "what came in went out, was dropped, or is held"
    assert re.search(rf"^trace drops {dropped} ", text, re.M), "the trace source tells of each"


def check_captures(folder):
    files = sorted(folder.glob("web-*.pcap"))
    # Three clients, two servers, two devices of each switch and of the middle.
    assert len(files) == 11, [file.name for file in files]
    if shutil.which("tshark") is None:
        print("tshark is not installed: captures are not read")
        return
    web = 0
    for file in files:
        bad = run("tshark", "-n", "-r", file, "-Y", "_ws.malformed")
        assert bad.returncode == 0 and bad.stdout == "", f"{file}: {bad.stdout[:500]}{bad.stderr}"
        seen = run("tshark", "-n", "-r", file, "-Y", "tcp.dstport == 80", "-c", "200")
        web += len(seen.stdout.splitlines()) > 0
    assert web == len(files), f"each device sees web traffic, on a shared medium; {web} did"


def main():
    program, what = sys.argv[1:]
    if what == "bad":
        result = run(program, "--deployment=/nowhere/x.yaml")
        assert result.returncode == 2, result
        assert result.stderr.startswith("/nowhere/x.yaml: cannot be read: "), result.stderr
        assert result.stdout == ""
        return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        options = ["--burst"] if what == "burst" else []
        result = run(program, *options, f"--pcap={folder}/web", "--duration=2")
        print(result.stdout, result.stderr)
        assert result.returncode == 0, result.returncode
        check_output(result.stdout)
        check_captures(folder)
        again = run(program, *options, "--duration=2")
        assert again.stdout == result.stdout, "the same run twice gives the same output"


if __name__ == "__main__":
    main()
