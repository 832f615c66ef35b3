#include <algorithm>
#include <array>

#include "core/deployment/checker.hpp"

namespace sluice::deployment {
namespace {

constexpr std::uint64_t kCyclesMax = 1'000'000'000'000;

// "0.5" in thousandths: parse_ratio refuses more than 1, so whole and fraction are read apart.
Result<std::uint64_t, std::string> parse_thousandths(std::string_view text) {
  const std::size_t dot = text.find('.');
  const auto whole = parse_integer(text.substr(0, dot));
  if (!whole) return unexpected(std::string("not a number of cycles"));
  if (*whole > kCyclesMax) return unexpected(std::string("too many cycles"));
  std::uint64_t result = *whole * 1000;
  if (dot == std::string_view::npos) return result;
  const std::string_view fraction = text.substr(dot + 1);
  if (fraction.empty() || fraction.size() > 3 ||
      !std::ranges::all_of(fraction, [](char c) { return c >= '0' && c <= '9'; })) {
    return unexpected(std::string("finer than a thousandth of a cycle"));
  }
  std::uint64_t scale = 100;
  for (const char c : fraction) {
    result += static_cast<std::uint64_t>(c - '0') * scale;
    scale /= 10;
  }
  return result;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// One term of a cost into its place; a kind given twice is a mistake.
Result<void, std::string> add_cost_term(std::string_view term, Cost& cost,
                                        std::array<bool, 3>& seen) {
  term = trimmed(term);
  const std::size_t split = std::min(term.find_first_not_of("0123456789."), term.size());
  const std::string_view unit = trimmed(term.substr(split));
  const auto thousandths = parse_thousandths(term.substr(0, split));
  if (!thousandths) return unexpected(thousandths.error());
  const std::size_t kind = unit == "cycles" || unit == "cycles/packet" ? 0
                           : unit == "cycles/B"                        ? 1
                           : unit == "cycles/batch"                    ? 2
                                                                       : 3;
  if (kind == 3) return unexpected(std::string(unit.empty() ? "no unit" : "unknown unit"));
  if (seen[kind]) return unexpected(std::string("the same unit twice"));
  seen[kind] = true;
  if (kind == 1) {
    cost.byte_millicycles = *thousandths;
    return {};
  }
  if (*thousandths % 1000 != 0) return unexpected(std::string("not a whole number of cycles"));
  (kind == 0 ? cost.packet_cycles : cost.batch_cycles) = *thousandths / 1000;
  return {};
}

void read_prefix(MapReader& reader, std::string_view key, std::optional<IpPrefix>& prefix) {
  if (!reader.has(key)) return;
  const ConfigValue& value = *reader.value(key);
  auto parsed = value.is_scalar() ? IpPrefix::parse(value.text())
                                  : Result<IpPrefix, std::string>(unexpected(std::string()));
  if (parsed) {
    prefix = *parsed;
  } else {
    reader.fail(value.place(), key, "not an IP prefix", value.describe(),
                "an address or prefix without host bits, as 10.0.0.0/8 or 2001:db8::/32");
  }
}

void read_port_range(MapReader& reader, std::string_view key, std::optional<PortRange>& range) {
  if (!reader.has(key)) return;
  const ConfigValue& value = *reader.value(key);
  auto parsed = value.is_scalar() ? PortRange::parse(value.text())
                                  : Result<PortRange, std::string>(unexpected(std::string()));
  if (parsed && parsed->first > 0) {
    range = *parsed;
  } else {
    reader.fail(value.place(), key, "not a port range", value.describe(),
                "a port from 1 to 65535, or a range as 8000-8099");
  }
}

}  // namespace

Failure Section::close() {
  const auto keys = keys_of(kind_);
  for (const std::string& key : known()) {
    SLUICE_CHECK(std::ranges::find(keys, key) != keys.end());
  }
  return finish();
}

std::string quoted(std::string_view text) {
  return ConfigValue::scalar(std::string(text), {}).describe();
}

Failure check_name(const std::string& name, const Place& place, const std::string& path) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  };
  if (!name.empty() && name.size() <= DeploymentLimits::kNameBytesMax &&
      std::ranges::all_of(name, allowed)) {
    return std::nullopt;
  }
  return error_at(
      place, path, "not a name", quoted(name),
      "1 to " + std::to_string(DeploymentLimits::kNameBytesMax) + " letters, digits, - and _");
}

Result<Cost, std::string> parse_cost(std::string_view text) {
  Cost cost;
  std::array<bool, 3> seen{};
  for (;;) {
    const std::size_t plus = text.find('+');
    const auto added = add_cost_term(text.substr(0, plus), cost, seen);
    if (!added) return unexpected(added.error());
    if (plus == std::string_view::npos) return cost;
    text.remove_prefix(plus + 1);
  }
}

void read_cost(MapReader& reader, std::string_view key, Cost& cost) {
  const ConfigValue* value = reader.value(key);
  if (value == nullptr) return;
  const auto parsed = value->is_scalar()
                          ? parse_cost(value->text())
                          : Result<Cost, std::string>(unexpected(std::string("not a cost")));
  if (parsed) {
    cost = *parsed;
  } else {
    reader.fail(value->place(), key, parsed.error(), value->describe(),
                "terms as 300 cycles + 36 cycles/B + 500 cycles/batch");
  }
}

std::string cost_text(const Cost& cost) {
  std::string text = std::to_string(cost.packet_cycles) + " cycles";
  if (cost.byte_millicycles > 0) {
    std::string fraction = std::to_string(cost.byte_millicycles % 1000 + 1000).substr(1);
    while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
    text += " + " + std::to_string(cost.byte_millicycles / 1000);
    if (!fraction.empty()) text += "." + fraction;
    text += " cycles/B";
  }
  if (cost.batch_cycles > 0) text += " + " + std::to_string(cost.batch_cycles) + " cycles/batch";
  return text;
}

std::optional<PortRef> read_port_ref(Draft& draft, MapReader& reader, std::string_view key) {
  const ConfigValue* value = reader.value(key);
  if (value == nullptr) return std::nullopt;
  const std::string& text = value->text();
  const std::size_t dot = text.find('.');
  std::vector<std::string> all;
  for (const HostSpec& host : draft.result.hosts) {
    for (const PortSpec& port : host.ports) {
      if (value->is_scalar() && text.substr(0, dot) == host.name && dot != std::string::npos &&
          text.substr(dot + 1) == port.name) {
        return PortRef{host.id, port.id};
      }
      all.push_back(host.name + "." + port.name);
    }
  }
  const std::vector<std::string_view> names(all.begin(), all.end());
  if (value->is_list()) {
    reader.fail(value->place(), key, "chains with several gateway ports are not supported yet",
                value->describe(), "one port as HOST.PORT");
  } else {
    reader.fail(value->place(), key, "unknown port", value->describe(),
                one_of_with_hint(text, names));
  }
  return std::nullopt;
}

void read_match(MapReader& reader, FlowMatch& match) {
  if (reader.has("proto")) {
    const ConfigValue& value = *reader.value("proto");
    const auto protocol = value.is_scalar()
                              ? parse_protocol(value.text())
                              : Result<std::uint8_t, std::string>(unexpected(std::string()));
    if (protocol) {
      match.protocol = *protocol;
    } else {
      reader.fail(value.place(), "proto", "unknown protocol", value.describe(),
                  "tcp, udp, sctp, icmp, icmpv6 or a number from 0 to 255");
    }
  }
  read_prefix(reader, "src", match.source);
  read_prefix(reader, "dst", match.destination);
  read_port_range(reader, "src_port", match.source_port);
  read_port_range(reader, "dst_port", match.destination_port);
  if (reader.has("vlan")) {
    match.vlan = static_cast<std::uint16_t>(reader.integer("vlan", 0, {0, 4094}));
  }
  if (reader.has("ip_version")) {
    constexpr std::string_view kVersions[] = {"4", "6"};
    match.ip_version = reader.choice("ip_version", kVersions, 0) == 0 ? 4 : 6;
  }
  if (match.source && match.destination &&
      match.source->address.ip_version != match.destination->address.ip_version) {
    reader.fail(reader.value("dst")->place(), "dst", "of another IP version than src",
                reader.value("dst")->describe(), "IPv4 twice or IPv6 twice");
  }
}

}  // namespace sluice::deployment
