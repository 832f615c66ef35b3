#include <algorithm>
#include <array>
#include <utility>

#include "core/deployment/checker.hpp"

namespace sluice::deployment {
namespace {

using Limits = DeploymentLimits;
using Arrivals = SyntheticTraffic::Arrivals;

enum class Kind : std::uint8_t { kReplay, kConstant, kPoisson, kOnOff, kTcp };
constexpr std::string_view kKindNames[] = {"replay", "constant", "poisson", "on_off", "tcp"};
constexpr std::size_t kPointCountMax = 10'000;
constexpr std::size_t kSizePointCountMax = 10'000;
constexpr std::uint64_t kFrameMin = 60;
constexpr std::uint64_t kFrameMax = 9216;
constexpr std::uint64_t kTransferMax = std::uint64_t{1} << 40;

// Which of the keys that only some kinds of traffic have may stand with which kind.
struct KeyUse {
  std::string_view key;
  std::string_view kinds;  // One letter a kind, in the order of kKindNames: r c p o t.
};
constexpr KeyUse kKeyUses[] = {{"rate", "rcpo"},      {"flash", "rcpo"},    {"replay", "r"},
                               {"rewrite", "r"},      {"passes", "r"},      {"size", "cpot"},
                               {"sizes", "cpot"},     {"flows", "cpo"},     {"flow_packets", "cpo"},
                               {"flow_sizes", "cpo"}, {"burst", "cpo"},     {"on", "o"},
                               {"off", "o"},          {"proto", "cpo"},     {"src", "cpot"},
                               {"dst", "cpot"},       {"src_port", "cpot"}, {"dst_port", "cpot"},
                               {"to", "rct"},         {"arrivals", "t"},    {"count", "t"},
                               {"client", "ct"}};

struct TrafficReader {
  Draft& draft;
  Section& section;
  TrafficSpec& spec;
  Kind kind = Kind::kReplay;

  void fail(std::string_view key, std::string_view problem, std::string expected) const {
    const ConfigValue& value = *section.value(key);
    section.fail(value.place(), key, problem, value.describe(), std::move(expected));
  }
};

void check_kind_keys(const TrafficReader& reader) {
  constexpr std::string_view kLetters = "rcpot";
  for (const KeyUse& use : kKeyUses) {
    const bool allowed =
        use.kinds.find(kLetters[static_cast<std::size_t>(reader.kind)]) != std::string_view::npos;
    if (allowed || !reader.section.has(use.key)) continue;
    std::vector<std::string_view> kinds;
    for (const char letter : use.kinds) kinds.push_back(kKindNames[kLetters.find(letter)]);
    reader.fail(use.key,
                "not for kind " + std::string(kKindNames[static_cast<std::size_t>(reader.kind)]),
                "it with kind " + one_of(kinds));
  }
}

// The two scalars of one point of a curve, [TIME, VALUE]; nothing after a failure.
struct PointText {
  Duration at{};
  const ConfigValue* value = nullptr;
};
std::optional<PointText> read_point(MapReader& section, const std::string& key,
                                    const ConfigValue& item, Duration after) {
  if (!item.is_list() || item.items().size() != 2 || !item.items()[0].is_scalar() ||
      !item.items()[1].is_scalar()) {
    section.fail(item.place(), key, "not a point", item.describe(), "a pair as [5 s, 1 Gbps]");
    return std::nullopt;
  }
  const ConfigValue& time = item.items()[0];
  const auto at = parse_duration(time.text());
  if (!at) {
    section.fail(time.place(), key, "not a time", time.describe(), "a duration as 5 s");
    return std::nullopt;
  }
  if (*at < after) {
    section.fail(time.place(), key, "earlier than the point before", time.describe(),
                 "points in the order of time");
    return std::nullopt;
  }
  return PointText{*at, &item.items()[1]};
}

// One value, or a list of points. `add` reads the value of one point and says whether it could.
template <class Add>
void read_curve(MapReader& section, std::string_view key, std::string_view what,
                std::string expected, Add add) {
  const ConfigValue* value = section.value(key);
  if (value == nullptr) return;
  const auto add_or_fail = [&](Duration at, const ConfigValue& text, const std::string& path) {
    if (add(at, text.text())) return;
    section.fail(text.place(), path, "not " + std::string(what), text.describe(), expected);
  };
  if (value->is_scalar()) {
    add_or_fail(Duration::zero(), *value, std::string(key));
    return;
  }
  if (!value->is_list() || value->items().empty() || value->items().size() > kPointCountMax) {
    section.fail(value->place(), key, "not " + std::string(what), value->describe(),
                 expected + ", or a list of 1 to " + std::to_string(kPointCountMax) +
                     " points as [5 s, VALUE]");
    return;
  }
  Duration after{};
  for (std::size_t i = 0; i < value->items().size(); ++i) {
    const std::string path = std::string(key) + "[" + std::to_string(i) + "]";
    const auto point = read_point(section, path, value->items()[i], after);
    if (!point) return;
    after = point->at;
    add_or_fail(point->at, *point->value, path);
  }
}

void read_rate(const TrafficReader& reader) {
  auto& points = reader.spec.rate;
  read_curve(reader.section, "rate", "a rate", "a number and one of bps, kbps, Mbps, Gbps, Tbps",
             [&](Duration at, const std::string& text) {
               const auto rate = parse_rate(text);
               if (rate) points.push_back({at, *rate});
               return rate.has_value();
             });
}

// "50/s" in thousandths per second, i.e. arrivals in 1000 s.
std::optional<std::uint64_t> parse_per_second(std::string_view text) {
  constexpr std::uint64_t kWholeMax = 10'000'000;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || text.substr(slash) != "/s") return std::nullopt;
  text = text.substr(0, slash);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  // A duration in us has three decimals of ns: the same arithmetic, borrowed.
  const auto thousandths = parse_duration(std::string(text) + " us");
  if (!thousandths || thousandths->count() > static_cast<std::int64_t>(kWholeMax * 1000)) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(thousandths->count());
}

void read_flash(const TrafficReader& reader) {
  const ConfigValue* value = reader.section.value("flash");
  if (value == nullptr) return;
  if (reader.spec.rate.size() > 1) {
    reader.fail("flash", "together with a curve of rates", "one rate, which the flash rises from");
    return;
  }
  Section flash(*value, reader.section.path_of("flash"), MapKind::kFlash);
  for (const std::string_view key : {"at", "peak", "rise", "hold", "fall"}) flash.require(key);
  const Rate base = reader.spec.rate.empty() ? Rate{} : reader.spec.rate.front().rate;
  Duration at = flash.duration("at", {}, {});
  const Rate peak = flash.rate("peak", Rate{});
  const Duration rise = flash.duration("rise", {}, {});
  const Duration hold = flash.duration("hold", {}, {});
  const Duration fall = flash.duration("fall", {}, {});
  if (auto error = flash.close()) {
    reader.section.fail(std::move(*error));
    return;
  }
  auto& points = reader.spec.rate;
  points = {{at, base}};
  points.push_back({at += rise, peak});
  points.push_back({at += hold, peak});
  points.push_back({at += fall, base});
}

ConfigError file_error(const TrafficReader& reader, std::string_view key, std::string problem) {
  const ConfigValue& value = *reader.section.value(key);
  return error_at(value.place(), reader.section.path_of(key), "cannot be read: " + problem,
                  value.describe(), "a readable file");
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
  return line;
}

// A share to the nearest ppm: measured distributions have more digits than that.
std::optional<Ppm> parse_share(std::string_view text) {
  constexpr std::size_t kDigitsKept = 6;
  const std::size_t kept = std::min(text.find('.'), text.size() - 1) + 1 + kDigitsKept;
  std::uint32_t round_up = 0;
  if (!text.empty() && text.size() > kept) {
    const std::string_view rest = text.substr(kept);
    if (rest.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    round_up = rest.front() >= '5' ? 1 : 0;
    text = text.substr(0, kept);
  }
  const auto ratio = parse_ratio(text);
  if (!ratio) return std::nullopt;
  return Ppm{ratio->value + round_up};
}

std::optional<SizePoint> parse_size_point(std::string_view line) {
  const std::size_t comma = line.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  const auto size_bytes = parse_integer(line.substr(0, comma));
  const auto cumulative = parse_share(line.substr(comma + 1));
  if (!size_bytes || !cumulative) return std::nullopt;
  return SizePoint{*size_bytes, *cumulative};
}

// Lines "bytes,cdf", perhaps with that as a first line, "#" before a remark.
Result<std::vector<SizePoint>> parse_sizes(const std::string& text, const std::string& file,
                                           MapReader::IntegerLimits limits) {
  std::vector<SizePoint> points;
  std::string_view rest = text;
  const auto failure = [&](std::uint32_t line, std::string problem, std::string_view got,
                           std::string expected) {
    const Place place{file, line, 1};
    return unexpected(ConfigError{place, std::move(problem), quoted(got), std::move(expected)});
  };
  std::uint32_t number = 0;
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    ++number;
    if (line.empty() || line.front() == '#' || (points.empty() && line == "bytes,cdf")) continue;
    const auto point = parse_size_point(line);
    if (!point) return failure(number, "not a size and its share", line, "BYTES,CDF as 1500,0.4");
    if (point->size_bytes < limits.min || point->size_bytes > limits.max) {
      return failure(number, "size out of range", line,
                     std::to_string(limits.min) + " to " + std::to_string(limits.max) + " bytes");
    }
    if (!points.empty() && (point->size_bytes <= points.back().size_bytes ||
                            point->cumulative < points.back().cumulative)) {
      return failure(number, "sizes or shares fall", line, "both in rising order");
    }
    if (points.size() >= kSizePointCountMax) {
      return failure(number, "too many lines", line,
                     "at most " + std::to_string(kSizePointCountMax));
    }
    points.push_back(*point);
  }
  if (points.empty() || points.back().cumulative != kPpmOne) {
    return failure(number, "ends before the whole",
                   points.empty() ? "" : std::to_string(points.back().cumulative.value) + " ppm",
                   "a last line with the share 1");
  }
  return points;
}

// A distribution from the file that `key` names.
std::optional<SizeSpec> read_size_file(const TrafficReader& reader, std::string_view key,
                                       MapReader::IntegerLimits limits) {
  SizeSpec sizes;
  sizes.file = reader.section.string(key);
  if (reader.section.failed()) return std::nullopt;
  const auto text = reader.draft.read_file(sizes.file);
  if (!text) {
    reader.section.fail(file_error(reader, key, text.error()));
    return std::nullopt;
  }
  auto points = parse_sizes(*text, sizes.file, limits);
  if (!points) {
    reader.section.fail(std::move(points.error()));
    return std::nullopt;
  }
  sizes.points = std::move(*points);
  return sizes;
}

SizeSpec read_sizes(const TrafficReader& reader, std::uint64_t fallback,
                    MapReader::IntegerLimits limits) {
  if (reader.section.has("size") && reader.section.has("sizes")) {
    reader.fail("sizes", "together with size", "one of size, sizes");
  }
  if (reader.section.has("sizes")) {
    return read_size_file(reader, "sizes", limits).value_or(SizeSpec{});
  }
  return SizeSpec{"", {{reader.section.size_bytes("size", fallback, limits), kPpmOne}}};
}

IpPrefix private_prefix(std::uint8_t third, std::uint8_t ip_version) {
  IpPrefix prefix;
  prefix.address.ip_version = ip_version;
  prefix.length = ip_version == 4 ? 16 : 64;
  // 10.THIRD.0.0/16 (RFC 1918) and fd00:THIRD::/64 (RFC 4193).
  prefix.address.bytes[0] = ip_version == 4 ? 10 : 0xfd;
  prefix.address.bytes[ip_version == 4 ? 1 : 3] = third;
  return prefix;
}

AddressSpec read_addresses(const TrafficReader& reader, std::uint8_t protocol) {
  FlowMatch match;
  match.protocol = protocol;
  read_match(reader.section, match);
  const std::uint8_t ip_version = match.source        ? match.source->address.ip_version
                                  : match.destination ? match.destination->address.ip_version
                                                      : std::uint8_t{4};
  AddressSpec addresses;
  addresses.protocol = *match.protocol;
  addresses.source = match.source.value_or(private_prefix(0, ip_version));
  addresses.destination = match.destination.value_or(private_prefix(1, ip_version));
  addresses.source_port = match.source_port.value_or(PortRange{1024, 65535});
  addresses.destination_port = match.destination_port.value_or(PortRange{80, 80});
  if (reader.section.has("proto") && addresses.protocol != 6 && addresses.protocol != 17) {
    reader.fail("proto", "cannot be made", "tcp or udp");
  }
  return addresses;
}

bool looks_like_pcap(std::string_view bytes) {
  // Classic pcap in both byte orders, in us and in ns.
  constexpr std::array<std::string_view, 4> kMagics{"\xd4\xc3\xb2\xa1", "\xa1\xb2\xc3\xd4",
                                                    "\x4d\x3c\xb2\xa1", "\xa1\xb2\x3c\x4d"};
  constexpr std::size_t kHeaderBytes = 24;
  return bytes.size() > kHeaderBytes &&
         std::ranges::any_of(kMagics, [&](std::string_view m) { return bytes.starts_with(m); });
}

ReplayTraffic read_replay(const TrafficReader& reader) {
  ReplayTraffic replay;
  reader.section.require("replay");
  replay.file = reader.section.string("replay");
  replay.rewrite = reader.section.boolean("rewrite", true);
  replay.pass_count_max =
      static_cast<std::uint32_t>(reader.section.integer("passes", 0, {0, 0xffffffff}));
  if (reader.section.has("to")) replay.to = read_port_ref(reader.draft, reader.section, "to");
  if (reader.section.failed()) return replay;
  if (replay.to == reader.spec.into) {
    reader.fail("to", "the same port as into", "another port, by which the servers' frames come");
    return replay;
  }
  const auto bytes = reader.draft.read_file(replay.file);
  if (!bytes) {
    reader.section.fail(file_error(reader, "replay", bytes.error()));
  } else if (!looks_like_pcap(*bytes)) {
    reader.fail("replay", "not a capture", "a pcap file with at least one packet");
  }
  return replay;
}

// Constant traffic of a real client: what iperf3 can do of it. A simulation could do more, but the
// file is to say the same on both.
void read_client(const TrafficReader& reader, SyntheticTraffic& traffic) {
  Section& section = reader.section;
  if (!section.has("client")) {
    if (section.has("to"))
      reader.fail("to", "without client", "client: iperf3, whose server it is");
    return;
  }
  reader.spec.client = static_cast<TrafficClient>(section.choice("client", kTrafficClientNames, 0));
  section.require("to");
  traffic.to = read_port_ref(reader.draft, section, "to");
  if (section.failed()) return;
  if (reader.spec.client == TrafficClient::kCurl) {
    reader.fail("client", "not for kind constant", "iperf3, or kind tcp");
  } else if (traffic.to == reader.spec.into) {
    reader.fail("to", "the same port as into", "another port, which the server is behind");
  } else if (reader.spec.rate.size() > 1) {
    reader.fail("client", "together with a rate that changes", "one rate");
  } else if (traffic.frame_sizes.points.size() > 1) {
    reader.fail("client", "together with sizes", "one size");
  } else if (traffic.addresses.protocol != 17) {
    reader.fail("client", "together with a protocol other than udp", "proto: udp");
  } else if (traffic.addresses.destination_port.first != traffic.addresses.destination_port.last) {
    reader.fail("client", "together with several dst_port", "the one port of the server");
  }
}

SyntheticTraffic read_synthetic(const TrafficReader& reader) {
  Section& section = reader.section;
  SyntheticTraffic traffic;
  traffic.arrivals = static_cast<Arrivals>(static_cast<int>(reader.kind) - 1);
  if (!section.has("flash")) section.require("rate");
  traffic.frame_sizes = read_sizes(reader, 512, {kFrameMin, kFrameMax});
  traffic.flow_count = static_cast<std::uint32_t>(section.integer("flows", 1, {1, 16'000'000}));
  traffic.flow_packets = section.integer("flow_packets", 0, {0, 1'000'000'000});
  if (section.has("flow_sizes")) {
    traffic.flow_sizes = read_size_file(reader, "flow_sizes", {1, kTransferMax});
    if (section.has("flow_packets")) {
      reader.fail("flow_sizes", "together with flow_packets", "one of flow_packets, flow_sizes");
    }
  }
  traffic.burst = static_cast<std::uint32_t>(section.integer("burst", 1, {1, 1024}));
  if (reader.kind == Kind::kOnOff) {
    constexpr MapReader::DurationLimits kPhase{std::chrono::microseconds{1},
                                               std::chrono::hours{24}};
    section.require("on");
    section.require("off");
    traffic.on_mean = section.duration("on", {}, kPhase);
    traffic.off_mean = section.duration("off", {}, kPhase);
  }
  traffic.addresses = read_addresses(reader, 17);
  if (reader.kind == Kind::kConstant) read_client(reader, traffic);
  return traffic;
}

TcpTraffic read_tcp(const TrafficReader& reader) {
  Section& section = reader.section;
  TcpTraffic traffic;
  section.require("to");
  section.require("arrivals");
  if (const auto to = read_port_ref(reader.draft, section, "to")) traffic.to = *to;
  if (!section.failed() && traffic.to == reader.spec.into) {
    reader.fail("to", "the same port as into", "another port, which the servers are behind");
  }
  reader.spec.client = static_cast<TrafficClient>(section.choice(
      "client", kTrafficClientNames, static_cast<std::size_t>(TrafficClient::kCurl)));
  traffic.transfer_sizes = read_sizes(reader, 100'000, {1, kTransferMax});
  read_curve(section, "arrivals", "a rate of arrivals", "a number as 50/s",
             [&](Duration at, const std::string& text) {
               const auto per_kilosecond = parse_per_second(text);
               if (per_kilosecond) traffic.arrivals.push_back({at, *per_kilosecond});
               return per_kilosecond.has_value();
             });
  traffic.transfer_count_max = section.integer("count", 0, {0, 1'000'000'000});
  traffic.addresses = read_addresses(reader, 6);
  const PortRange& ports = traffic.addresses.destination_port;
  if (ports.first != ports.last) {
    reader.fail("dst_port", "several ports", "the one port of the servers");
  }
  return traffic;
}

void read_times(const TrafficReader& reader) {
  const Duration end = reader.draft.result.run.duration;
  const Duration start =
      reader.section.duration("start", Duration::zero(), {Duration::zero(), end});
  const Duration stop = reader.section.duration("stop", end, {Duration::zero(), end});
  if (stop < start && reader.section.has("stop"))
    reader.fail("stop", "before start", "a later time");
  reader.spec.start = Instant{start};
  reader.spec.stop = Instant{stop};
}

Failure check_one(Draft& draft, const ConfigValue& value, const std::string& path,
                  TrafficSpec& spec) {
  Section section(value, path, MapKind::kTraffic);
  TrafficReader reader{draft, section, spec};
  if (!section.has("kind") && !section.has("replay")) section.require("kind");
  reader.kind = static_cast<Kind>(section.choice("kind", kKindNames, 0));
  section.require("into");
  if (const auto into = read_port_ref(draft, section, "into")) spec.into = *into;
  if (section.has("name")) {
    spec.name = section.string("name");
    if (auto error = check_name(spec.name, section.value("name")->place(), path + ".name")) {
      section.fail(std::move(*error));
    }
  }
  if (auto error = section.close()) return error;
  check_kind_keys(reader);
  read_times(reader);
  read_rate(reader);
  read_flash(reader);
  switch (reader.kind) {
    case Kind::kReplay:
      spec.kind = read_replay(reader);
      break;
    case Kind::kConstant:
    case Kind::kPoisson:
    case Kind::kOnOff:
      spec.kind = read_synthetic(reader);
      break;
    case Kind::kTcp:
      spec.kind = read_tcp(reader);
      break;
  }
  return section.close();
}

}  // namespace

Failure check_traffic(Draft& draft, const ConfigValue* traffic) {
  if (traffic == nullptr) return std::nullopt;
  if (!traffic->is_list()) {
    return error_at(traffic->place(), "traffic", "not a list", traffic->describe(),
                    "a list of traffic sources");
  }
  if (traffic->items().size() > Limits::kTrafficCountMax) {
    return error_at(traffic->place(), "traffic", "too many sources",
                    std::to_string(traffic->items().size()),
                    "at most " + std::to_string(Limits::kTrafficCountMax));
  }
  for (std::size_t i = 0; i < traffic->items().size(); ++i) {
    const ConfigValue& item = traffic->items()[i];
    const std::string path = "traffic[" + std::to_string(i) + "]";
    TrafficSpec spec;
    spec.name = "traffic-" + std::to_string(i);
    spec.place = item.place();
    if (auto error = check_one(draft, item, path, spec)) return error;
    const auto taken = std::ranges::find(draft.result.traffic, spec.name, &TrafficSpec::name);
    if (taken != draft.result.traffic.end()) {
      return error_at(spec.place, path + ".name", "duplicate name", quoted(spec.name),
                      "a name that no other source has; that at " + taken->place.to_string() +
                          " has it as well");
    }
    draft.result.traffic.push_back(std::move(spec));
  }
  return std::nullopt;
}

}  // namespace sluice::deployment
