#include "sim/trace_hash/trace_hash.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <vector>

namespace sluice::sim {
namespace {

Packet packet(std::uint32_t buffer) {
  Packet result{};
  result.buffer = buffer;
  result.length = 64;
  return result;
}

std::uint64_t hash_of(const std::function<void(TraceHash&)>& events) {
  TraceHash hash;
  events(hash);
  return hash.value();
}

TEST(TraceHash, EveryKindOfEventGivesAnotherHash) {
  const Packet one = packet(1);
  const std::span<const Packet> packets{&one, 1};
  const std::uint32_t buffers[] = {1};
  const Instant now{Duration{5}};
  const InstanceId instance{1};
  const std::vector<std::function<void(TraceHash&)>> events = {
      [](TraceHash&) {},
      [&](TraceHash& h) { h.received(now, PortId{1}, packets); },
      [&](TraceHash& h) { h.received(now, PortId{2}, packets); },
      [&](TraceHash& h) { h.received(Instant{Duration{6}}, PortId{1}, packets); },
      [&](TraceHash& h) { h.classified(now, packets); },
      [&](TraceHash& h) { h.delivered(now, instance, packets); },
      [&](TraceHash& h) { h.returned(now, instance, packets); },
      [&](TraceHash& h) { h.generated(now, instance, packets); },
      [&](TraceHash& h) { h.copied(now, one, one); },
      [&](TraceHash& h) { h.sent(now, PortId{1}, packets); },
      [&](TraceHash& h) { h.dropped(now, packets, DropReason::kRule); },
      [&](TraceHash& h) { h.dropped(now, packets, DropReason::kTtl); },
      [&](TraceHash& h) { h.lent(now, instance, buffers); },
      [&](TraceHash& h) { h.unlent(now, instance, buffers); },
      [&](TraceHash& h) { h.refused(now, instance, one); },
      [&](TraceHash& h) { h.flow_started(now, 1, FlowKey{}, 0, {}); },
      [&](TraceHash& h) {
        h.flow_repinned(now, 1, 0, {0, 1}, {0, 2}, RepinCause::kMoved);
      },
      [&](TraceHash& h) {
        h.flow_repinned(now, 1, 0, {0, 2}, {0, 1}, RepinCause::kMoved);
      },
      [&](TraceHash& h) { h.flow_ended(now, 1); },
      [&](TraceHash& h) { h.chain_published(now, ChainVersion{}); },
      [&](TraceHash& h) { h.instance_started(now, instance, ServiceId{0}); },
      [&](TraceHash& h) { h.instance_draining(now, instance); },
      [&](TraceHash& h) { h.instance_ended(now, instance, true); },
      [&](TraceHash& h) { h.instance_ended(now, instance, false); },
      [&](TraceHash& h) { h.add(1); },
  };
  std::set<std::uint64_t> hashes;
  for (const auto& event : events) hashes.insert(hash_of(event));
  EXPECT_EQ(hashes.size(), events.size());
}

TEST(TraceHash, EveryFieldOfADescriptorCounts) {
  std::vector<Packet> variants(11, packet(1));
  variants[1].offset = 1;
  variants[2].length = 65;
  variants[3].flow = 1;
  variants[4].tag = 1;
  variants[5].chain = 1;
  variants[6].step = 1;
  variants[7].verdict = Verdict::kNext;
  variants[8].target = 1;
  variants[9].ingress = 1;
  variants[10].arrival = 1;
  std::set<std::uint64_t> hashes;
  for (const Packet& variant : variants) {
    hashes.insert(hash_of([&](TraceHash& h) { h.classified(Instant{}, {&variant, 1}); }));
  }
  EXPECT_EQ(hashes.size(), variants.size());
}

TEST(TraceHash, OrderCounts) {
  const Packet ab[] = {packet(1), packet(2)};
  const Packet ba[] = {packet(2), packet(1)};
  EXPECT_NE(hash_of([&](TraceHash& h) { h.classified(Instant{}, ab); }),
            hash_of([&](TraceHash& h) { h.classified(Instant{}, ba); }));
  EXPECT_EQ(hash_of([&](TraceHash& h) { h.classified(Instant{}, ab); }),
            hash_of([&](TraceHash& h) { h.classified(Instant{}, ab); }));
}

TEST(TraceHash, IsTheSameNumberOnEveryMachine) {
  TraceHash hash;
  const Packet one = packet(1);
  hash.received(Instant{Duration{1000}}, PortId{0}, {&one, 1});
  EXPECT_EQ(hash.to_string(), "484a43d51ee8be2f");
  EXPECT_EQ(content_hash("name: autoscale\n"), "08004cf43db29215");
  EXPECT_NE(content_hash("a"), content_hash(std::string_view("a\0", 2)));
}

}  // namespace
}  // namespace sluice::sim
