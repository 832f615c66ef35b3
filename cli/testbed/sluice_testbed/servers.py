"""The real servers of a run, nginx and iperf3, and the processes that start its real clients."""

import json
import os

from .network import client_address, server_addresses
from .processes import Child, wait_until

SERVER_SECONDS = 10.0
NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen {address}:{port} backlog=4096; root {folder}/www; }}
}}
"""
LISTENING = "0A"  # As /proc/net/tcp calls it.


def is_listening(pid, port):
    """Whether somebody listens on a TCP port in the network namespace of a process."""
    try:
        with open(f"/proc/{pid}/net/tcp", encoding="ascii") as stream:
            rows = [line.split() for line in stream.readlines()[1:]]
    except OSError:
        return False
    return any(row[3] == LISTENING and int(row[1].split(":")[1], 16) == port for row in rows)


def retransmitted_segments(pid):
    """What the kernel counted in the network namespace of a process."""
    with open(f"/proc/{pid}/net/snmp", encoding="ascii") as stream:
        names, values = [line.split() for line in stream if line.startswith("Tcp:")]
    return int(values[names.index("RetransSegs")])


class Servers:
    """What stands behind the `to` port of a source."""

    def __init__(self, source, network, folder):
        self.source = source
        namespace = network.outside(source.server_port)
        addresses = server_addresses(source)
        if source.client == "curl":
            self.children = [self._nginx(source, namespace, addresses[0], folder)]
        else:
            self.children = [
                Child(f"iperf3-{source.name}-{number}", namespace,
                      ["iperf3", "-s", "-B", address, "-p", source.tcp_port], folder)
                for number, address in enumerate(addresses)]

    @staticmethod
    def _nginx(source, namespace, address, folder):
        own = folder.file(f"nginx-{source.name}")
        os.makedirs(os.path.join(own, "www"))
        os.chmod(own, 0o755)
        # A hole as large as the largest transfer; each fetch asks for as much of it as it wants.
        with open(os.path.join(own, "www", "blob"), "wb") as blob:
            blob.truncate(max((size for _, size in source.transfers), default=1))
        config = os.path.join(own, "nginx.conf")
        with open(config, "w", encoding="utf-8") as stream:
            stream.write(NGINX.format(folder=own, address=address, port=source.tcp_port))
        return Child(f"nginx-{source.name}", namespace,
                     ["nginx", "-p", own, "-c", config, "-e", os.path.join(own, "error.log")],
                     folder)

    def wait_ready(self):
        for child in self.children:
            wait_until(child.name, lambda each=child: is_listening(each.pid, self.source.tcp_port),
                       [child], SERVER_SECONDS)

    @property
    def retransmissions(self):
        return retransmitted_segments(self.children[0].pid) if self.children[0].running else 0

    def end(self):
        for child in self.children:
            child.end()


class ClientDriver:
    """A process behind the `into` port of a source that starts its clients at their times."""

    def __init__(self, source, deployment, network, folder, time_zero_ns):
        self.source = source
        spec = {"client": source.client, "kind": source.kind, "time_zero_ns": time_zero_ns,
                "end_ns": deployment.duration_ns, "start_ns": source.start_ns,
                "stop_ns": source.stop_ns, "servers": server_addresses(source),
                "bind": client_address(source), "port": source.tcp_port,
                "transfers": source.transfers, "rate_bps": source.rate_bps,
                "frame_size": source.frame_size}
        path = folder.file(f"clients-{source.name}.json")
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(spec, stream)
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients.py")
        self.child = Child(f"clients-{source.name}", network.outside(source.client_port),
                           ["/usr/bin/python3", "-B", program, path], folder,
                           death_signal="TERM", may_finish=True)

    def result(self):
        """What its clients measured; None when it did not come to that."""
        try:
            return json.loads(self.child.output)
        except ValueError:
            return None
