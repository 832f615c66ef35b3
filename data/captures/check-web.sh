#!/usr/bin/env bash
# Says what is in a capture of make-web.sh, and fails if a checksum is wrong or a frame is too long.
#
# Usage: data/captures/check-web.sh [FILE.pcap]      (needs tshark)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pcap=${1:-$here/web.pcap}

# count FILTER: the frames that a display filter lets through, all checksums checked.
count() {
  tshark -r "$pcap" -n -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -Y "$1" 2>/dev/null | wc -l
}

# field NAME FILTER
field() { tshark -r "$pcap" -n -T fields -e "$1" -Y "$2" 2>/dev/null; }

packets=$(count frame)
bytes=$(field frame.len frame | awk '{sum += $1} END {print sum}')
longest=$(field frame.len frame | sort -n | tail -n 1)
bad=$(count 'ip.checksum.status == 0 || tcp.checksum.status == 0')
malformed=$(count '_ws.malformed')
cut=$(count 'frame.cap_len < frame.len')
flows=$(field tcp.stream tcp | sort -nu | wc -l)
suspicious=$(tshark -r "$pcap" -n -T fields -e tcp.payload -Y 'tcp.srcport == 80 && tcp.len > 0' 2>/dev/null |
  /usr/bin/python3 -c '
import sys
patterns = [line.rstrip("\n").encode() for line in open(sys.argv[1], encoding="ascii")]
print(sum(any(p in bytes.fromhex(line) for p in patterns) for line in sys.stdin))' "$here/../patterns.txt")

cat <<END
packets                  $packets
bytes                    $bytes (mean $((bytes / packets)) a frame, longest $longest)
TCP connections          $flows
from the server          $(count 'tcp.srcport == 80')
with payload             $(count 'tcp.len > 0')
over IPv6                $(count ipv6)
HTTP requests            $(count http.request)
HTTP responses           $(count http.response)
frames with a pattern    $suspicious
wrong checksums          $bad
malformed, cut           $malformed, $cut
END
((bad == 0 && malformed == 0 && cut == 0 && longest <= 1514))
