#include "core/functions/firewall_state.hpp"

#include "core/packet/headers.hpp"

namespace sluice {
namespace {

constexpr std::uint8_t kProtocolTcp = 6, kProtocolIcmp = 1, kProtocolIcmpv6 = 58;
constexpr std::uint8_t kFinBothWays = 3;

}  // namespace

FirewallState::FirewallState(const Options& options)
    : options_(options), flows_(options.flow_count_max) {}

FirewallState::List FirewallState::list_of(const FlowKey& key) noexcept {
  if (key.protocol == kProtocolTcp) return kTcp;
  if (key.protocol == kProtocolIcmp || key.protocol == kProtocolIcmpv6) return kIcmp;
  return kUdp;
}

FlowKey FirewallState::without_ingress(FlowKey key) noexcept {
  key.ingress = index_of(kNoPort);
  return key;
}

Duration FirewallState::limit_of(std::uint32_t list) const noexcept {
  switch (list) {
    case kTcp:
      return options_.tcp_idle;
    case kUdp:
      return options_.udp_idle;
    case kIcmp:
      return options_.icmp_idle;
    default:
      return options_.closing_timeout;
  }
}

void FirewallState::follow(Entry& entry, std::uint8_t tcp_flags, bool from_opener,
                           Instant now) noexcept {
  if (entry.list == kClosing) return;
  if ((tcp_flags & kTcpFin) != 0) entry.value.fin_seen |= from_opener ? 1 : 2;
  const bool ended = (tcp_flags & kTcpRst) != 0 || entry.value.fin_seen == kFinBothWays;
  flows_.touch(entry, ended ? kClosing : entry.list, now);
}

bool FirewallState::passes(const FlowKey& key, std::uint8_t tcp_flags, Instant now) noexcept {
  const FlowKey forward = without_ingress(key);
  bool from_opener = true;
  Entry* entry = flows_.find(forward);
  if (entry == nullptr) {
    from_opener = false;
    entry = flows_.find(forward.reversed(kNoPort));
  }
  if (entry == nullptr) return false;
  const bool reopens = entry->list == kClosing && (tcp_flags & (kTcpSyn | kTcpAck)) == kTcpSyn;
  if (expired(*entry, now) || reopens) {
    flows_.erase(*entry);
    return false;
  }
  follow(*entry, tcp_flags, from_opener, now);
  return true;
}

bool FirewallState::open(const FlowKey& key, std::uint8_t tcp_flags, Instant now) noexcept {
  Entry* entry = flows_.insert(without_ingress(key), list_of(key), now);
  if (entry == nullptr) return false;
  follow(*entry, tcp_flags, true, now);
  return true;
}

void FirewallState::expire(Instant now, std::uint32_t budget) noexcept {
  for (std::uint32_t list = 0; list < FlowMap<Value>::kListCount; ++list) {
    Entry* entry = flows_.oldest(list);
    while (entry != nullptr && budget > 0 && expired(*entry, now)) {
      flows_.erase(*entry);
      --budget;
      entry = flows_.oldest(list);
    }
  }
}

// One byte of format version, the list, the FINs seen.
std::vector<FlowState> FirewallState::export_state(std::span<const FlowKey> keys) {
  std::vector<FlowState> states;
  const auto add = [&](const Entry& entry) {
    states.push_back({entry.key,
                      {std::byte{1}, static_cast<std::byte>(entry.list),
                       static_cast<std::byte>(entry.value.fin_seen)}});
  };
  if (keys.empty()) flows_.for_each(add);
  for (const FlowKey& key : keys) {
    const FlowKey forward = without_ingress(key);
    const Entry* entry = flows_.find(forward);
    if (entry == nullptr) entry = flows_.find(forward.reversed(kNoPort));
    if (entry != nullptr) add(*entry);
  }
  return states;
}

void FirewallState::import_state(std::span<const FlowState> states, Instant now) {
  for (const FlowState& state : states) {
    if (state.bytes.size() != 3 || state.bytes[0] != std::byte{1}) continue;
    const auto list = std::to_integer<std::uint32_t>(state.bytes[1]);
    const auto fin_seen = std::to_integer<std::uint8_t>(state.bytes[2]);
    if ((list != kClosing && list != list_of(state.key)) || fin_seen > kFinBothWays) continue;
    const FlowKey key = without_ingress(state.key);
    if (Entry* present = flows_.find(key)) flows_.erase(*present);
    if (Entry* entry = flows_.insert(key, list, now)) entry->value.fin_seen = fin_seen;
  }
}

}  // namespace sluice
