// link: sluice::host

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/packet/buffer_ledger.hpp"
#include "tests/core/host/host_rig.hpp"

/// F7: what a wrong or hostile function may write into its return ring: any descriptors. First the
/// ledger alone against a plain map of owners, then a whole host, whose other instance and buffers
/// must not notice.
namespace sluice {
namespace {

using test::RigBuilder;

/// Reads fields off the input; zeros at its end.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> data) : data_(data) {}
  [[nodiscard]] bool empty() const { return data_.empty(); }
  std::uint8_t byte() {
    if (data_.empty()) return 0;
    const std::uint8_t value = data_.front();
    data_ = data_.subspan(1);
    return value;
  }
  /// All bits free, but for the buffer: mostly one that exists.
  Packet packet(std::uint32_t buffer_count) {
    std::array<std::uint8_t, sizeof(Packet)> bytes{};
    const std::size_t count = std::min(bytes.size(), data_.size());
    std::copy_n(data_.begin(), count, bytes.begin());
    data_ = data_.subspan(count);
    Packet packet{};
    std::memcpy(&packet, bytes.data(), sizeof packet);
    if ((bytes[3] & 0x80) == 0) packet.buffer = bytes[0] % buffer_count;
    if ((bytes[5] & 0x80) == 0) packet.offset = kHeadroom;
    if ((bytes[7] & 0x80) == 0) packet.length = static_cast<std::uint16_t>(60 + bytes[6]);
    return packet;
  }

 private:
  std::span<const std::uint8_t> data_;
};

constexpr std::uint32_t kBufferCount = 16;

/// Who owns what by the rules, and what was handed over.
struct Owner {
  InstanceId instance = kNoInstance;
  bool lent = false;
  Packet given{};
};

void check_batch(BufferLedger& ledger, const PacketMemory& memory,
                 std::map<std::uint32_t, Owner>& owners, InstanceId instance,
                 std::vector<Packet> returned) {
  // In the order in which they came, each buffer once.
  std::vector<Packet> expected, made;
  std::set<std::uint32_t> seen;
  for (const Packet& packet : returned) {
    const auto owner = owners.find(packet.buffer);
    if (owner == owners.end() || owner->second.instance != instance) continue;
    if (!memory.contains(packet) || seen.contains(packet.buffer)) continue;
    if (packet.verdict > Verdict::kHold) continue;  // No verdict at all.
    seen.insert(packet.buffer);
    (owner->second.lent ? made : expected).push_back(packet);
  }
  const auto taken = ledger.take_back(instance, returned);
  SLUICE_CHECK(taken.generated == made.size());
  SLUICE_CHECK(taken.good == expected.size() + made.size());
  expected.insert(expected.end(), made.begin(), made.end());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Packet& want = expected[i];
    const Packet& got = returned[i];
    SLUICE_CHECK(got.buffer == want.buffer && got.offset == want.offset &&
                 got.length == want.length && got.tag == want.tag && got.verdict == want.verdict &&
                 got.target == want.target);
    const Owner& owner = owners.at(got.buffer);
    SLUICE_CHECK(got.flow == (owner.lent ? kNoFlow : owner.given.flow));
    SLUICE_CHECK(got.chain == (owner.lent ? 0xffff : owner.given.chain));
    SLUICE_CHECK(got.step == (owner.lent ? 0 : owner.given.step));
    SLUICE_CHECK(got.ingress == (owner.lent ? 0xffff : owner.given.ingress));
    SLUICE_CHECK(got.arrival == (owner.lent ? 0 : owner.given.arrival));
    owners.erase(got.buffer);
  }
}

void check_ledger(Input input) {
  std::vector<std::byte> bytes(std::size_t{kBufferCount} * 512);
  const PacketMemory memory{bytes, 512};
  BufferLedger ledger{memory};
  std::map<std::uint32_t, Owner> owners;
  while (!input.empty()) {
    const std::uint8_t operation = input.byte();
    const InstanceId instance{static_cast<std::uint16_t>(operation >> 7)};
    if (operation % 3 != 0) {
      // Gives the first free buffer away: with a packet, or empty.
      std::uint32_t buffer = 0;
      while (owners.contains(buffer)) ++buffer;
      if (buffer == kBufferCount) continue;
      Owner owner{instance, operation % 3 == 2, {}};
      if (owner.lent) {
        ledger.lend({&buffer, 1}, instance);
      } else {
        owner.given =
            Packet{buffer, kHeadroom, 60, operation, 7, 3, 1, Verdict::kUndecided, 0, 2, 99};
        ledger.hand_over({&owner.given, 1}, instance);
      }
      owners[buffer] = owner;
      continue;
    }
    std::vector<Packet> returned;
    const std::size_t count = 1 + operation / 3 % BufferLedger::kBatchMax;
    while (returned.size() < count && !input.empty()) {
      returned.push_back(input.packet(kBufferCount + 2));
    }
    check_batch(ledger, memory, owners, instance, std::move(returned));
  }
  for (std::uint32_t buffer = 0; buffer < kBufferCount; ++buffer) {
    const bool owned = owners.contains(buffer);
    SLUICE_CHECK(ledger.instance(buffer) == (owned ? owners[buffer].instance : kNoInstance));
  }
}

/// `hostile` writes what it likes into its ring; `honest` forwards. All that `honest` was given
/// leaves unchanged, and every buffer comes home.
void check_host(Input input) {
  RigBuilder rig;
  const ServiceId honest = rig.service("honest");
  const ServiceId hostile = rig.service("hostile");
  rig.chain("good", {honest});
  rig.chain("bad", {hostile});
  FlowMatch to_hostile;
  to_hostile.destination_port = PortRange{666, 666};
  rig.rule(to_hostile, ChainId{1});
  rig.rule({}, ChainId{0});
  rig.options.buffer_count = 256;
  rig.options.agent.chain_version_count_max = 8;
  rig.options.agent.instance_count_max = 64;
  const auto host = rig.build();
  const auto good = frames::udp({.payload = frames::text("untouched")});
  std::size_t good_count = 0, hostile_count = 0;
  for (int round = 0; round < 24 && !input.empty(); ++round) {
    const std::uint8_t operation = input.byte();
    host->inject(PortId{0}, good);
    ++good_count;
    if (operation % 2 == 0) {
      host->inject(PortId{0}, frames::udp({.destination_port = 666}));
      ++hostile_count;
    }
    host->turn();
    if (const auto instances = host->instances_of(hostile); !instances.empty()) {
      host->freeze(instances[0]);
      auto give_back = host->channel(instances[0]).give_back;
      for (int i = 0; i < operation % 5; ++i) {
        const Packet packet = input.packet(258);
        (void)give_back.enqueue({&packet, 1});
      }
    }
    for (int i = 0; i < 3; ++i) host->turn();
    const auto bad =
        std::vector(host->worker().quarantined().begin(), host->worker().quarantined().end());
    host->worker().clear_quarantined();
    for (const InstanceId instance : bad) host->handle(InstanceMisbehaved{instance});
  }
  host->settle();
  const auto& out = host->io().output(PortId{1});
  SLUICE_CHECK(static_cast<std::size_t>(std::count(out.begin(), out.end(), good)) >= good_count);
  host->shut_down();
  SLUICE_CHECK(host->io().available() == 256);
  const auto& statistics = host->worker().statistics();
  std::uint64_t ended = 0;
  for (std::uint16_t i = 0; i < 2; ++i) ended += statistics.ports[i].sent_packets;
  for (const std::uint64_t drops : statistics.drops) ended += drops;
  SLUICE_CHECK(ended == good_count + hostile_count);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 8192) return 0;
  sluice::Input input{std::span{data, size}.subspan(1)};
  if (data[0] % 2 == 0) {
    sluice::check_ledger(input);
  } else {
    sluice::check_host(input);
  }
  return 0;
}
