#!/usr/bin/env bash
# Captures web traffic between two network namespaces: nginx in one, curl in the other.
#
# Usage: data/captures/make-web.sh [OUT.pcap]      (default: web.pcap beside this script; needs root)
#
# Contents and visits are the same each time; times, initial sequence numbers and so on are not, so the
# committed file is one run of many. Offloads are off: frames are as on a wire, at most 1514 bytes,
# with real checksums. Needs the [capture] packages of scripts/packages.txt.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/web.pcap}
((EUID == 0)) || {
  echo "make-web.sh: needs root, for network namespaces" >&2
  exit 3
}

work=$(mktemp -d /tmp/sluice-web.XXXXXX)
server=sluice-web-server-$$
client=sluice-web-client-$$
nginx_pid='' tcpdump_pid=''

# Whatever happens, nothing stays: processes by their ids, then the namespaces (with them the links).
finish() {
  local status=$? pid
  trap - EXIT INT TERM
  for pid in $tcpdump_pid $nginx_pid; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  ip netns del "$client" 2>/dev/null || true
  ip netns del "$server" 2>/dev/null || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || {
      echo "make-web.sh: waited in vain for: $*" >&2
      exit 1
    }
    sleep 0.05
  done
}

set_up_network() {
  ip netns add "$server"
  ip netns add "$client"
  ip link add name veth0 netns "$server" type veth peer name veth0 netns "$client"
  local namespace i
  for namespace in "$server" "$client"; do
    ip netns exec "$namespace" sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
      net.ipv6.conf.veth0.accept_dad=0
    ip -n "$namespace" link set lo up
    ip -n "$namespace" link set veth0 up
    ip netns exec "$namespace" ethtool -K veth0 tso off gso off gro off tx off rx off >/dev/null
  done
  ip -n "$server" address add 10.5.0.1/24 dev veth0
  ip -n "$server" address add fd00:5::1/64 dev veth0 nodad
  for ((i = 16; i < 40; ++i)); do
    ip -n "$client" address add "10.5.0.$i/24" dev veth0
    ip -n "$client" address add "$(printf 'fd00:5::%x/64' "$i")" dev veth0 nodad
  done
}

start_server() {
  cat >"$work/nginx.conf" <<END
daemon off;
pid $work/nginx.pid;
error_log $work/error.log;
user root;
events { worker_connections 256; }
http {
  access_log $work/access.log;
  client_body_temp_path $work/body;
  proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/fastcgi;
  uwsgi_temp_path $work/uwsgi;
  scgi_temp_path $work/scgi;
  types { text/html html; text/css css; text/javascript js; application/json json;
          image/png png; image/svg+xml svg; }
  keepalive_timeout 5s;
  server {
    listen 10.5.0.1:80;
    listen [fd00:5::1]:80;
    root $work/site;
    location = /submit { return 200 '{"status": "accepted"}\n'; default_type application/json; }
  }
}
END
  chmod 755 "$work"
  ip netns exec "$server" nginx -c "$work/nginx.conf" -e "$work/error.log" &
  nginx_pid=$!
  wait_for 10 test -s "$work/nginx.pid"
  wait_for 10 ip netns exec "$client" curl -s -o /dev/null http://10.5.0.1/
  wait_for 10 ip netns exec "$client" curl -s -o /dev/null 'http://[fd00:5::1]/'
}

capture() {
  # Only the web's own packets: no neighbour discovery, which a replay could not address.
  ip netns exec "$client" tcpdump -Z root -n -s 0 -B 8192 -U --immediate-mode -i veth0 -w "$work/web.pcap" 'tcp port 80' \
    2>"$work/tcpdump.log" &
  tcpdump_pid=$!
  wait_for 10 grep -q 'listening on' "$work/tcpdump.log"
}

visit_all() {
  # Up to six visitors at once.
  find "$work/visits" -name '*.curl' | sort |
    ip netns exec "$client" xargs -P 6 -n 1 curl --config
}

# tcpdump has written all that it was given: its file did not grow for half a second.
caught_up() {
  local size
  size=$(stat -c %s "$work/web.pcap")
  sleep 0.5
  [[ $size == "$(stat -c %s "$work/web.pcap")" ]]
}

all_closed() {
  [[ -z $(ip netns exec "$client" ss -Htn state established state fin-wait-1 state fin-wait-2 \
    state close-wait state last-ack) ]]
}

/usr/bin/python3 "$here/make_web_content.py" "$here/../patterns.txt" "$work"
set_up_network
start_server
wait_for 10 all_closed
capture
visit_all
wait_for 10 all_closed
wait_for 10 caught_up
kill -INT "$tcpdump_pid"
wait "$tcpdump_pid" || true
tcpdump_pid=''
captured=$(awk '/packets captured/ {print $1}' "$work/tcpdump.log")
offered=$(awk '/received by filter/ {print $1}' "$work/tcpdump.log")
if [[ $captured != "$offered" ]] || ! grep -q '^0 packets dropped by kernel' "$work/tcpdump.log"; then
  cat "$work/tcpdump.log" >&2
  exit 1
fi
cp "$work/web.pcap" "$out"
echo "$captured packets in $out"
