// link: sluice::packet

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <tuple>

#include "core/check.hpp"
#include "core/packet/fragment_tracker.hpp"

/// F2: sequences of first and later fragments against a plain list of the last datagrams.
namespace sluice {
namespace {

constexpr std::uint32_t kDatagramCount = 4;
constexpr Duration kLifetime = std::chrono::milliseconds{20};

/// A datagram by the RFCs: addresses, id, VLANs, port of entry, and over IPv4 the protocol.
using Name = std::tuple<std::array<std::uint8_t, 16>, std::array<std::uint8_t, 16>, std::uint16_t,
                        std::uint16_t, std::uint16_t, std::uint8_t, std::uint8_t, std::uint32_t>;

Name name_of(const FlowKey& key, std::uint32_t id) {
  const std::uint8_t protocol = key.ip_version == 4 ? key.protocol : 0;
  return {key.source,  key.destination, key.vlan_outer, key.vlan_inner,
          key.ingress, key.ip_version,  protocol,       id};
}

/// The oracle: what was remembered, oldest first, each for its time, the last few at most.
class PlainTracker {
 public:
  void remember(const FlowKey& key, std::uint32_t id, Instant now) {
    const Name name = name_of(key, id);
    entries_.push_back({name, key, now + kLifetime});
    for (std::size_t i = 0; i + 1 < entries_.size(); ++i) {
      if (entries_[i].name == name) entries_[i].replaced = true;
    }
    while (entries_.size() > kDatagramCount) entries_.pop_front();
  }
  [[nodiscard]] std::optional<FlowKey> find(const FlowKey& key, std::uint32_t id, Instant now) {
    for (const Entry& entry : entries_) {
      if (!entry.replaced && entry.name == name_of(key, id) && now < entry.expires) {
        return entry.key;
      }
    }
    return std::nullopt;
  }

 private:
  struct Entry {
    Name name;
    FlowKey key;
    Instant expires;
    bool replaced = false;
  };
  std::deque<Entry> entries_;
};

/// Six bytes an operation: few addresses, ids and ports, so that they meet.
void run(std::span<const std::uint8_t> data) {
  FragmentTracker tracker{{.datagram_count_max = kDatagramCount, .lifetime = kLifetime}};
  PlainTracker plain;
  Instant now{};
  for (; data.size() >= 6; data = data.subspan(6)) {
    FlowKey key;
    key.ip_version = (data[0] & 1) != 0 ? 6 : 4;
    key.source[0] = data[1] & 3;
    key.destination[0] = data[1] >> 6;
    key.vlan_outer = data[1] >> 4 & 1;
    key.vlan_inner = data[1] >> 5 & 1;
    key.ingress = data[0] >> 6;
    key.protocol = (data[0] & 2) != 0 ? 6 : 17;
    const std::uint32_t id = data[2] & 3;
    now += std::chrono::milliseconds{data[3] >> 3};
    if ((data[0] & 4) != 0) {
      key.source_port = data[4];
      key.destination_port = data[5];
      tracker.remember(key, id, now);
      plain.remember(key, id, now);
      continue;
    }
    const FlowKey before = key;
    const auto expected = plain.find(key, id, now);
    SLUICE_CHECK(tracker.find(key, id, now) == expected.has_value());
    SLUICE_CHECK(key == expected.value_or(before));
  }
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::run({data, size});
  return 0;
}
