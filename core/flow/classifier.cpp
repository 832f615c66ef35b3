#include "core/flow/classifier.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include "core/check.hpp"

namespace sluice {

template <class Value>
struct Classifier::Interval {
  Value first = 0;
  Value last = static_cast<Value>(~Value{0});
};

namespace {

/// Beyond all protocol numbers: the protocol of a frame without IP.
constexpr std::uint32_t kNoProtocol = 256;
/// Beyond all port numbers: the port of a protocol without ports.
constexpr std::uint32_t kNoPortNumber = 65536;

/// An address as a number, so that a prefix is an interval. IPv4 addresses stand in the upper bytes
/// as in the key; the index of IP versions keeps them apart from IPv6.
Uint128 number_of(const std::array<std::uint8_t, 16>& bytes) {
  Uint128 number = 0;
  for (const std::uint8_t byte : bytes) number = number << 8 | byte;
  return number;
}

}  // namespace

/// Segments begin where a rule's interval begins, and after where one ends.
template <class Value>
Classifier::FieldIndex<Value> Classifier::build(const std::vector<Interval<Value>>& rules,
                                                std::size_t words) {
  FieldIndex<Value> index;
  index.starts.push_back(0);
  for (const Interval<Value>& rule : rules) {
    index.starts.push_back(rule.first);
    if (rule.last != Interval<Value>{}.last) index.starts.push_back(rule.last + 1);
  }
  std::sort(index.starts.begin(), index.starts.end());
  index.starts.erase(std::unique(index.starts.begin(), index.starts.end()), index.starts.end());
  index.sets.assign(index.starts.size() * words, 0);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto begin = std::lower_bound(index.starts.begin(), index.starts.end(), rules[i].first);
    const auto end = std::upper_bound(begin, index.starts.end(), rules[i].last);
    const auto first = static_cast<std::size_t>(begin - index.starts.begin());
    const auto last = static_cast<std::size_t>(end - index.starts.begin());
    for (std::size_t segment = first; segment < last; ++segment) {
      index.sets[segment * words + i / 64] |= std::uint64_t{1} << (i % 64);
    }
  }
  return index;
}

template <class Value>
const std::uint64_t* Classifier::set_of(const FieldIndex<Value>& index, Value value,
                                        std::size_t words) noexcept {
  const auto after = std::upper_bound(index.starts.begin(), index.starts.end(), value);
  const auto segment = static_cast<std::size_t>(after - index.starts.begin()) - 1;
  return index.sets.data() + segment * words;
}

struct Classifier::Fields {
  using Number = Interval<std::uint32_t>;
  std::vector<Number> version, protocol, ingress, vlan, source_port, destination_port;
  std::vector<Interval<Uint128>> source, destination;

  void add(const FlowMatch& match) {
    version.push_back(version_of(match));
    protocol.push_back(exactly(match.protocol));
    ingress.push_back(match.ingress ? Number{index_of(*match.ingress), index_of(*match.ingress)}
                                    : Number{});
    vlan.push_back(exactly(match.vlan));
    // One port condition asks for ports at all; the other range then needs no condition.
    source_port.push_back(between(match.source_port));
    destination_port.push_back(between(match.destination_port));
    source.push_back(covered(match.source));
    destination.push_back(covered(match.destination));
  }

  template <class T>
  static Number exactly(const std::optional<T>& value) {
    return value ? Number{*value, *value} : Number{};
  }
  static Number between(const std::optional<PortRange>& range) {
    return range ? Number{range->first, range->last} : Number{};
  }
  static Interval<Uint128> covered(const std::optional<IpPrefix>& prefix) {
    if (!prefix) return {};
    const Uint128 first = number_of(prefix->address.bytes);
    const Uint128 rest = prefix->length >= 128 ? 0 : ~Uint128{0} >> prefix->length;
    return {first, first | rest};
  }
  /// The version that all conditions agree on; an empty interval where they do not.
  static Number version_of(const FlowMatch& match) {
    Number version;
    const auto restrict_to = [&version](std::uint32_t wanted) {
      version = {std::max(version.first, wanted), std::min(version.last, wanted)};
    };
    if (match.ip_version) restrict_to(*match.ip_version);
    if (match.source) restrict_to(match.source->address.ip_version);
    if (match.destination) restrict_to(match.destination->address.ip_version);
    return version;
  }
};

Classifier::Classifier(const std::vector<Rule>& rules) : words_((rules.size() + 63) / 64) {
  SLUICE_CHECK(rules.size() <= kRuleCountMax);
  Fields fields;
  for (const Rule& rule : rules) {
    chains_.push_back(rule.chain);
    fields.add(rule.match);
  }
  version_ = build(fields.version, words_);
  protocol_ = build(fields.protocol, words_);
  ingress_ = build(fields.ingress, words_);
  vlan_ = build(fields.vlan, words_);
  source_port_ = build(fields.source_port, words_);
  destination_port_ = build(fields.destination_port, words_);
  source_ = build(fields.source, words_);
  destination_ = build(fields.destination, words_);
}

ChainId Classifier::match(const FlowKey& key) const noexcept {
  if (words_ == 0) return kNoChain;
  const bool ports = has_ports(key);
  const std::uint32_t protocol = key.ip_version == 0 ? kNoProtocol : key.protocol;
  const std::uint32_t source_port = ports ? key.source_port : kNoPortNumber;
  const std::uint32_t destination_port = ports ? key.destination_port : kNoPortNumber;
  const std::array<const std::uint64_t*, 8> sets = {
      set_of<std::uint32_t>(version_, key.ip_version, words_),
      set_of(protocol_, protocol, words_),
      set_of<std::uint32_t>(ingress_, key.ingress, words_),
      set_of<std::uint32_t>(vlan_, key.vlan_outer, words_),
      set_of(source_port_, source_port, words_),
      set_of(destination_port_, destination_port, words_),
      set_of(source_, number_of(key.source), words_),
      set_of(destination_, number_of(key.destination), words_),
  };
  for (std::size_t word = 0; word < words_; ++word) {
    std::uint64_t common = ~std::uint64_t{0};
    for (const std::uint64_t* set : sets) common &= set[word];
    if (common != 0) return chains_[word * 64 + static_cast<std::size_t>(std::countr_zero(common))];
  }
  return kNoChain;
}

}  // namespace sluice
