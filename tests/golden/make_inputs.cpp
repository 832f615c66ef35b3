#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/frames.hpp"

/// Makes tests/golden/NAME/in.pcap: what each golden run is fed, so that its origin can be read.
///
///     golden_make_inputs FOLDER          writes all of them
///     golden_make_inputs --check FOLDER  says which differ, and fails then
///
/// Shares no code with core or sim, pcap file included.
namespace sluice::golden {
namespace {

using frames::Bytes;
using frames::text;

constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPush = 0x08, kAck = 0x10;

/// A capture in the making: frames and their times, which only go forward.
class Trace {
 public:
  Trace() {
    // The classic pcap header: microseconds, version 2.4, Ethernet.
    for (const std::uint32_t word : {0xa1b2c3d4u, 4u << 16 | 2u, 0u, 0u, 65535u, 1u}) add32(word);
  }
  Trace& wait_us(std::uint32_t gap) {
    now_us_ += gap;
    return *this;
  }
  /// One frame now, the next one 10 us later unless something else is said.
  Trace& add(const Bytes& frame) {
    add32(now_us_ / 1'000'000);
    add32(now_us_ % 1'000'000);
    add32(static_cast<std::uint32_t>(frame.size()));
    add32(static_cast<std::uint32_t>(frame.size()));
    for (const std::byte byte : frame) file_ += static_cast<char>(byte);
    return wait_us(10);
  }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  void add32(std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) file_ += static_cast<char>(value >> shift & 255);
  }
  std::string file_;
  std::uint32_t now_us_ = 0;
};

struct Ends {
  std::string client = "10.0.0.1";
  std::string server = "10.0.0.2";
  std::uint16_t client_port = 40000;
  std::uint16_t server_port = 80;
};

Bytes segment(const Ends& ends, bool reply, std::uint8_t flags, const std::string& payload = "",
              std::uint32_t sequence = 1) {
  const frames::Tcp tcp{.source_port = reply ? ends.server_port : ends.client_port,
                        .destination_port = reply ? ends.client_port : ends.server_port,
                        .sequence = sequence,
                        .acknowledgement = (flags & kAck) != 0 ? 7u : 0u,
                        .flags = flags,
                        .payload = text(payload)};
  return frames::tcp(tcp, {.source = reply ? ends.server : ends.client,
                           .destination = reply ? ends.client : ends.server});
}

/// A whole TCP connection: handshake, a request, an answer, the end. Replies come 200 us later,
/// when what they answer has passed the host.
void connection(Trace& trace, const Ends& ends, const std::string& request = "GET / HTTP/1.1\r\n") {
  trace.add(segment(ends, false, kSyn)).wait_us(200);
  trace.add(segment(ends, true, kSyn | kAck)).wait_us(200);
  trace.add(segment(ends, false, kAck, "", 2));
  trace.add(segment(ends, false, kPush | kAck, request, 2)).wait_us(200);
  trace.add(segment(ends, true, kPush | kAck, "HTTP/1.1 200 OK\r\n", 2)).wait_us(200);
  trace.add(segment(ends, false, kFin | kAck, "", 20)).wait_us(200);
  trace.add(segment(ends, true, kFin | kAck, "", 20)).wait_us(200);
  trace.add(segment(ends, false, kAck, "", 21)).wait_us(200);
}

Bytes datagram(std::uint16_t flow, const std::string& payload) {
  return frames::udp(
      {.source_port = static_cast<std::uint16_t>(10000 + flow), .payload = text(payload)});
}

/// One frame of each kind that a host knows, over IPv4 and IPv6.
Trace all_kinds() {
  Trace trace;
  for (const bool v6 : {false, true}) {
    const frames::Ip ip =
        v6 ? frames::Ip{.source = "2001:db8::1", .destination = "2001:db8::2"} : frames::Ip{};
    trace.add(frames::tcp({.flags = kSyn, .options = frames::hex("020405b4 01 030307")}, ip));
    trace.add(frames::udp({.payload = text("datagram")}, ip));
    trace.add(frames::sctp({.payload = text("chunk!!!")}, ip));
    trace.add(frames::icmp({.payload = text("echo")}, ip));
    trace.add(frames::ip_frame(47, text("a protocol without ports"), ip));
  }
  trace.add(frames::udp({.payload = text("no checksum"), .checksum = false}));
  trace.add(frames::udp({.payload = text("options")}, {.options = frames::hex("94040000")}));
  trace.add(frames::udp({.payload = text("padded")}, {}, {.size_min = 60}));
  trace.add(frames::udp({.payload = Bytes(1472, std::byte{0x5a})}));
  return trace;
}

Trace forward() {
  Trace trace = all_kinds();
  trace.add(frames::arp({}, {.size_min = 60}));  // Around the chain, by default.
  trace.add(frames::icmp({.type = 135}, {.source = "fe80::1", .destination = "fe80::2"}));
  return trace;
}

/// What no host may forward, each with a good frame behind it.
Trace malformed() {
  Trace trace;
  const Bytes good = datagram(1, "good");
  const auto bad = [&](Bytes frame) { trace.add(frame).add(good); };
  const auto changed = [&](std::size_t at, unsigned value) {
    Bytes frame = good;
    frame[at] = static_cast<std::byte>(value);
    return frame;
  };
  const auto cut = [](Bytes frame, std::size_t size) {
    frame.resize(size);
    return frame;
  };
  bad(cut(good, 20));           // Ends within the IP header.
  bad(cut(good, 40));           // Ends within the UDP header.
  bad(changed(14, 0x55));       // IP version 5 behind 0x0800.
  bad(changed(14, 0x44));       // A header of 16 bytes.
  bad(changed(17, 0xff));       // Longer than the frame.
  bad(cut(frames::tcp(), 50));  // Ends within the TCP header.
  bad(cut(frames::udp({}, {.source = "::1", .destination = "::2"}), 30));
  bad(frames::ethernet(0x8100, text("x")));              // Ends within the tag.
  bad(frames::ethernet(0x88cc, text("no IP, no ARP")));  // LLDP: not malformed, no IP.
  return trace;
}

Trace monitor() {
  Trace trace;
  for (std::uint16_t i = 0; i < 40; ++i) trace.add(datagram(i % 7, std::string(i * 8u, 'm')));
  return trace;
}

/// Four cases: an allowed connection with its replies, a denied port, an allowed prefix over UDP
/// with a reply, and (firewall_from_outside)
/// packets that nobody asked for.
Trace firewall() {
  Trace trace;
  connection(trace, {.server_port = 80});
  trace.add(segment({.server_port = 22}, false, kSyn)).wait_us(200);
  trace.add(segment({.server_port = 22}, true, kSyn | kAck)).wait_us(200);
  trace.add(frames::udp({.payload = text("query")}, {.destination = "10.0.53.1"})).wait_us(200);
  trace.add(frames::udp({.source_port = 53, .destination_port = 40000, .payload = text("answer")},
                        {.source = "10.0.53.1", .destination = "10.0.0.1"}));
  trace.add(frames::udp({.payload = text("query")}, {.destination = "10.0.54.1"}));
  return trace;
}

/// Another port than the query's, an answer to what was denied, and a connection of their own.
Trace firewall_from_outside() {
  Trace trace;
  trace.add(frames::udp({.source_port = 54, .destination_port = 40000, .payload = text("?")},
                        {.source = "10.0.53.1", .destination = "10.0.0.1"}));
  trace.add(frames::udp({.source_port = 53, .destination_port = 40000, .payload = text("?")},
                        {.source = "10.0.54.1", .destination = "10.0.0.1"}));
  const Ends inwards{.client = "10.0.0.2", .server = "10.0.0.1", .client_port = 50000};
  trace.add(segment(inwards, false, kSyn));
  return trace;
}

Trace ids() {
  Trace trace;
  trace.add(datagram(1, "nothing to see"));
  trace.add(datagram(1, "GET /etc/passwd"));  // Plain label: this packet only.
  trace.add(datagram(1, "nothing again"));
  trace.add(datagram(2, "a WORM here"));  // Sticky: the flow is quarantined.
  trace.wait_us(500);
  trace.add(datagram(2, "innocent, but of the same flow"));
  trace.add(datagram(3, "half of the pattern: /etc/pass"));
  trace.add(frames::udp({.source_port = 10004, .payload = text("/etc/passwd")},
                        {.source = "2001:db8::1", .destination = "2001:db8::2"}));
  trace.add(frames::udp({.source_port = 10005}));  // No payload.
  return trace;
}

/// 20 frames of 500 B in one burst, at 8 Mbps and a bucket of 2000 B; later four more.
Trace rate_limiter() {
  Trace trace;
  for (std::uint16_t i = 0; i < 20; ++i) {
    trace.add(datagram(i % 3, std::string(458, static_cast<char>('a' + i))));
  }
  trace.wait_us(20'000);
  for (std::uint16_t i = 0; i < 4; ++i) trace.add(datagram(i, std::string(458, '+')));
  return trace;
}

Trace load_balancer() {
  Trace trace;
  for (std::uint16_t flow = 0; flow < 6; ++flow) {
    for (int i = 0; i < 2; ++i) {
      trace.add(
          segment({.server = "192.0.2.80", .client_port = static_cast<std::uint16_t>(40000 + flow)},
                  false, i == 0 ? kSyn : kAck));
    }
  }
  trace.wait_us(500);
  // Every backend answers every client; only what was asked of it finds its way back.
  for (const char* backend : {"10.1.0.1", "10.1.0.2", "10.1.0.3"}) {
    for (std::uint16_t flow = 0; flow < 6; ++flow) {
      trace.add(
          segment({.server = backend, .client_port = static_cast<std::uint16_t>(40000 + flow)},
                  true, kSyn | kAck));
    }
  }
  trace.add(datagram(1, "not for the virtual address"));
  return trace;
}

Trace router() {
  Trace trace;
  for (const char* destination : {"10.1.2.3", "10.1.3.3", "10.2.0.1", "192.0.2.1", "172.16.0.1"}) {
    trace.add(frames::udp({.payload = text("to route")}, {.destination = destination}));
  }
  trace.add(frames::udp({}, {.destination = "10.1.2.3", .ttl = 1}));
  trace.add(frames::udp({}, {.destination = "10.1.2.3", .ttl = 2}));
  trace.add(frames::tcp({}, {.source = "2001:db8::1", .destination = "2001:db8:1::1"}));
  trace.add(frames::tcp({}, {.source = "2001:db8::1", .destination = "2001:db8:1::1", .ttl = 1}));
  trace.add(frames::tcp({}, {.source = "2001:db8::1", .destination = "2001:db9::1"}));
  return trace;
}

Trace few(std::uint16_t count, std::uint32_t gap_us) {
  Trace trace;
  for (std::uint16_t i = 0; i < count; ++i) {
    trace.add(datagram(i % 4, "packet " + std::to_string(i))).wait_us(gap_us);
  }
  return trace;
}

Trace branches() {
  Trace trace;
  std::uint16_t flow = 0;
  for (const char* payload : {"plain", "a WORM", "a probe", "short cut", "a probe and a WORM"}) {
    trace.add(frames::udp(
        {.source_port = static_cast<std::uint16_t>(10000 + flow++), .payload = text(payload)},
        {.destination = "10.9.0.1", .ttl = 10}));
  }
  return trace;
}

Trace reverse_behind_rewriting() {
  Trace trace;
  for (std::uint16_t i = 0; i < 4; ++i) {
    const auto port = static_cast<std::uint16_t>(40000 + i);
    trace.add(segment({.server = "192.0.2.80", .client_port = port}, false, kSyn));
  }
  trace.wait_us(500);
  for (const char* backend : {"10.1.0.1", "10.1.0.2"}) {
    for (std::uint16_t i = 0; i < 4; ++i) {
      const auto port = static_cast<std::uint16_t>(40000 + i);
      trace.add(segment({.server = backend, .client_port = port}, true, kSyn | kAck));
    }
  }
  trace.wait_us(500);
  for (std::uint16_t i = 0; i < 4; ++i) {
    const auto port = static_cast<std::uint16_t>(40000 + i);
    const Ends ends{.server = "192.0.2.80", .client_port = port};
    trace.add(segment(ends, false, kAck, "", 2)).add(segment(ends, false, kRst, "", 2));
  }
  return trace;
}

/// One tag, two tags by both of their EtherTypes, a priority tag, and none.
Trace vlan() {
  Trace trace;
  const frames::Vlan seven{.id = 7, .priority = 5}, eight{.id = 8}, none{.id = 0, .priority = 6};
  const frames::Vlan outer{.id = 7, .tpid = 0x88a8}, inner{.id = 100};
  for (const std::vector<frames::Vlan>& tags :
       {std::vector{seven}, {eight}, {outer, inner}, {seven, inner}, {none}, {}}) {
    trace.add(frames::udp({.payload = text("tagged?")}, {.ttl = 9}, {.vlans = tags}));
    trace.add(frames::tcp({}, {.source = "2001:db8::1", .destination = "2001:db8::2", .ttl = 9},
                          {.vlans = tags}));
  }
  trace.add(frames::udp({}, {}, {.vlans = {outer, inner, {.id = 3}}}));  // One more than we read.
  return trace;
}

Trace ipv6_extensions() {
  Trace trace;
  const auto with = [&](std::vector<frames::Extension> extensions, bool atomic = false) {
    const frames::Ip ip{.source = "2001:db8::1",
                        .destination = "2001:db8::2",
                        .ttl = 9,
                        .id = 77,
                        .extensions = std::move(extensions),
                        .atomic_fragment = atomic};
    trace.add(frames::udp({.payload = text("behind extensions")}, ip));
    trace.add(frames::tcp({.destination_port = 22}, ip));
  };
  with({});
  with({{.kind = 0}});   // Hop-by-hop options.
  with({{.kind = 60}});  // Destination options.
  with({{.kind = 0}, {.kind = 60, .body = Bytes(22)}, {.kind = 43}, {.kind = 60}});
  with({{.kind = 0}}, true);  // A fragment that is the whole.
  return trace;
}

/// Datagrams in three pieces over IPv4 and IPv6; one without its first, one with it last.
Trace fragments() {
  Trace trace;
  const auto pieces = [](std::uint32_t id, bool v6, std::uint16_t port) {
    const frames::Ip ip =
        v6 ? frames::Ip{.source = "2001:db8::1", .destination = "2001:db8::2", .id = id}
           : frames::Ip{.id = id};
    Bytes payload(900);
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::byte>(i & 255);
    const auto whole = frames::udp_segment({.destination_port = port, .payload = payload}, ip);
    return frames::fragments(17, whole, 400, ip);
  };
  for (const bool v6 : {false, true}) {
    for (const Bytes& piece : pieces(1, v6, 53)) trace.add(piece);
    for (const Bytes& piece : pieces(2, v6, 54)) trace.add(piece);  // No rule's.
    const auto orphan = pieces(3, v6, 53);
    trace.add(orphan[1]).add(orphan[2]);
    const auto turned = pieces(4, v6, 53);
    trace.add(turned[2]).add(turned[0]).add(turned[1]);
  }
  return trace;
}

/// Both ways at once, for workers that must hand packets to each other.
Trace two_workers() {
  Trace trace;
  for (std::uint16_t i = 0; i < 6; ++i) {
    connection(trace, {.client = "10.0.1." + std::to_string(i + 1),
                       .server = "10.0.2." + std::to_string(i * 7 + 1)});
  }
  return trace;
}

const std::vector<std::pair<std::string, std::function<Trace()>>>& inputs() {
  static const std::vector<std::pair<std::string, std::function<Trace()>>> all{
      {"forward", forward},
      {"malformed", malformed},
      {"monitor", monitor},
      {"firewall", firewall},
      {"firewall/in.p1.pcap", firewall_from_outside},
      {"ids", ids},
      {"rate_limiter", rate_limiter},
      {"load_balancer", load_balancer},
      {"router", router},
      {"load_generator", [] { return few(4, 1000); }},
      {"delay", [] { return few(24, 40); }},
      {"busy", [] { return few(24, 0); }},
      {"stuck", [] { return few(60, 9990); }},
      {"copy", ids},
      {"branches", branches},
      {"inline", all_kinds},
      {"change", [] { return few(40, 90); }},
      {"kill", [] { return few(60, 490); }},
      {"pass_unmatched", all_kinds},
      {"reverse_behind_rewriting", reverse_behind_rewriting},
      {"vlan", vlan},
      {"ipv6_extensions", ipv6_extensions},
      {"fragments", fragments},
      {"two_workers", two_workers},
  };
  return all;
}

std::string read_all(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

int run(const std::string& root, bool check) {
  int wrong = 0;
  for (const auto& [name, make] : inputs()) {
    const std::string path = root + "/" + (name.ends_with(".pcap") ? name : name + "/in.pcap");
    const std::string file = make().file();
    if (check) {
      if (read_all(path) == file) continue;
      std::fprintf(stderr, "%s: not what golden_make_inputs makes\n", path.c_str());
      ++wrong;
      continue;
    }
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream stream(path, std::ios::binary);
    stream << file;
    stream.close();
    if (!stream) {
      std::fprintf(stderr, "%s: cannot be written\n", path.c_str());
      ++wrong;
    }
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace sluice::golden

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool check = arguments.size() == 2 && arguments[0] == "--check";
  if (!check && arguments.size() != 1) {
    std::fprintf(stderr, "usage: golden_make_inputs [--check] FOLDER\n");
    return 2;
  }
  return sluice::golden::run(arguments.back(), check);
}
