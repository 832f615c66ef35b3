// link: sluice::host

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "core/chain/maglev.hpp"
#include "core/check.hpp"
#include "tests/core/host/host_rig.hpp"

/// F15: Maglev under random members and weights (fair shares, minimal disruption, no matter of
/// order), and the affinity of flows (I-6) while instances come, drain and die.
namespace sluice {
namespace {

using test::RigBuilder;

constexpr std::uint32_t kTableSize = 499;

std::vector<std::uint32_t> shares_of(const MaglevTable& table, std::size_t member_count) {
  std::vector<std::uint32_t> shares(member_count);
  for (const std::uint16_t member : table.table()) {
    SLUICE_CHECK(member < member_count);
    ++shares[member];
  }
  return shares;
}

void check_table(std::span<const std::uint8_t> data) {
  std::vector<MaglevMember> members;
  for (std::uint16_t i = 0; i < data.size() && i < 12; ++i) {
    members.push_back({i, 1u + data[i] % 4u});
  }
  if (members.size() < 2) return;
  const MaglevTable table{members, kTableSize};
  SLUICE_CHECK(table.table().size() == kTableSize);
  std::uint32_t weights = 0;
  for (const MaglevMember& member : members) weights += member.weight;
  const auto shares = shares_of(table, members.size());
  for (const MaglevMember& member : members) {
    // Turns are in proportion to weights, and one turn is one place.
    const double fair = double{kTableSize} * member.weight / weights;
    SLUICE_CHECK(shares[member.id] > fair / 2 && shares[member.id] < fair * 2);
  }
  auto turned = members;
  std::rotate(turned.begin(), turned.begin() + 1, turned.end());
  SLUICE_CHECK(std::ranges::equal(MaglevTable(turned, kTableSize).table(), table.table()));
  // One goes: its places move, of the others' few.
  const auto gone = static_cast<std::uint16_t>(data[0] % members.size());
  auto fewer = members;
  fewer.erase(fewer.begin() + gone);
  const MaglevTable after{fewer, kTableSize};
  std::uint32_t moved = 0;
  for (std::size_t i = 0; i < kTableSize; ++i) {
    SLUICE_CHECK(after.table()[i] != gone);
    if (table.table()[i] != gone && table.table()[i] != after.table()[i]) ++moved;
  }
  SLUICE_CHECK(moved <= (kTableSize - shares[gone]) / 2);
}

/// Which instance each flow met last; it may change only when that one has died.
class Affine final : public Observer {
 public:
  void delivered(Instant, InstanceId instance, std::span<const Packet> packets) override {
    for (const Packet& packet : packets) {
      const auto [entry, fresh] = instance_of_.try_emplace(packet.flow, instance);
      SLUICE_CHECK(fresh || entry->second == instance || dead_.contains(entry->second));
      entry->second = instance;
    }
  }
  void died(InstanceId instance) { dead_.insert(instance); }

 private:
  std::map<FlowId, InstanceId> instance_of_;
  std::set<InstanceId> dead_;
};

/// One byte an operation; no time passes, so no flow ends.
void check_affinity(std::span<const std::uint8_t> data, InstanceChoice choice) {
  Affine observer;
  RigBuilder rig;
  const ServiceId a = rig.service("a", test::go_on, 2);
  rig.edit(a).choice = choice;
  rig.chain("web", {a});
  rig.options.observer = &observer;
  rig.options.buffer_count = 256;
  rig.options.agent.chain_version_count_max = 8;
  rig.options.agent.instance_count_max = 64;
  rig.options.flow_count_max = 64;
  rig.options.agent.maglev_size = kTableSize;
  const auto host = rig.build();
  for (const std::uint8_t byte : data.first(std::min<std::size_t>(data.size(), 32))) {
    const auto instances = host->instances_of(a);
    const std::size_t which = instances.empty() ? 0 : (byte >> 2) % instances.size();
    switch (byte & 3) {
      case 0:
        host->handle(ScaleRequest{ScaleRequest::Kind::kStart, a, kNoInstance, 1, "fuzz"});
        break;
      case 1:
        if (instances.size() < 2) break;
        host->handle(ScaleRequest{ScaleRequest::Kind::kDrain, a, instances[which], 1, "fuzz"});
        break;
      case 2:
        if (instances.size() < 2) break;
        observer.died(instances[which]);
        host->kill(instances[which]);
        break;
      default:
        for (std::uint16_t i = 0; i < 4; ++i) {
          const auto port = static_cast<std::uint16_t>(1000 + (byte >> 2) / 4 * 4 + i);
          host->inject(PortId{0}, frames::udp({.source_port = port}));
        }
    }
    for (int i = 0; i < 3; ++i) host->turn();
  }
  host->shut_down();
  SLUICE_CHECK(host->io().available() == 256);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::span<const std::uint8_t> all{data, size};
  if (data[0] % 4 == 0) {
    sluice::check_table(all.subspan(1));
  } else {
    sluice::check_affinity(all.subspan(1), data[0] % 4 == 1 ? sluice::InstanceChoice::kMaglev
                                                            : sluice::InstanceChoice::kLeastLoaded);
  }
  return 0;
}
