#include <gtest/gtest.h>
#include <ns3/flow-id-tag.h>

#include <cstdint>
#include <vector>

#include "backends/ns3/ethernet.hpp"
#include "backends/ns3/tag_store.hpp"
#include "tests/backends/ns3/fixture.hpp"

namespace sluice {
namespace {

using test::BurstPair;
using test::make_frame;
using test::SimTest;

/// A tag that ns-3 cannot make by its TypeId.
class SecretTag final : public ns3::Tag {
 public:
  static ns3::TypeId GetTypeId() {
    static const ns3::TypeId tid = ns3::TypeId("sluice::test::SecretTag").SetParent<ns3::Tag>();
    return tid;
  }
  ns3::TypeId GetInstanceTypeId() const override { return GetTypeId(); }
  uint32_t GetSerializedSize() const override { return 0; }
  void Serialize(ns3::TagBuffer) const override {}
  void Deserialize(ns3::TagBuffer) override {}
  void Print(std::ostream&) const override {}
};

ns3::Ptr<ns3::Packet> tagged(std::uint32_t size, std::uint32_t mark) {
  const auto packet = ns3::Create<ns3::Packet>(size);
  packet->AddByteTag(ns3::FlowIdTag(mark));
  return packet;
}

std::uint32_t mark_on(const ns3::Packet* packet) {
  ns3::FlowIdTag tag;
  return packet != nullptr && packet->FindFirstMatchingByteTag(tag) ? tag.GetFlowId() : 0;
}

TEST(Tags, AreCopiedAsFarAsTheBytesReach) {
  const auto from = ns3::Create<ns3::Packet>(100);
  from->AddByteTag(ns3::FlowIdTag(1), 10, 40);
  from->AddByteTag(ns3::FlowIdTag(2), 60, 90);
  from->AddPacketTag(ns3::FlowIdTag(3));
  from->AddPacketTag(SecretTag{});  // Left out, and no end of the program.
  const auto to = ns3::Create<ns3::Packet>(30);
  copy_tags(*from, *to);
  auto each = to->GetByteTagIterator();
  ASSERT_TRUE(each.HasNext());
  const auto item = each.Next();
  EXPECT_EQ(item.GetStart(), 10u);
  EXPECT_EQ(item.GetEnd(), 30u);
  EXPECT_EQ(mark_on(ns3::PeekPointer(to)), 1u);
  EXPECT_FALSE(each.HasNext());
  ns3::FlowIdTag tag;
  ASSERT_TRUE(to->PeekPacketTag(tag));
  EXPECT_EQ(tag.GetFlowId(), 3u);
  SecretTag secret;
  EXPECT_FALSE(to->PeekPacketTag(secret));
}

TEST(Tags, OnlyATaggedPacketIsKept) {
  EXPECT_FALSE(tagged_copy(*ns3::Create<ns3::Packet>(10)));
  EXPECT_TRUE(tagged_copy(*tagged(10, 1)));
}

TEST(Burst, KeepsTheOriginOfEachFrameUntilItIsCut) {
  const auto pool = std::make_shared<BurstPool>(BurstPool::Options{4, 100});
  const auto bytes = make_frame(60, 0);
  const auto one = tagged(46, 1), three = tagged(46, 3);
  BurstPtr burst = pool->acquire();
  burst->append(bytes, Instant{Duration{1}}, ns3::PeekPointer(one));
  burst->append(bytes, Instant{Duration{2}});
  burst->append(bytes, Instant{Duration{3}}, ns3::PeekPointer(three));
  burst->append(bytes, Instant{Duration{4}});
  const auto marks = [&burst] {
    std::vector<std::uint32_t> found;
    for (const BurstFrame& frame : burst->frames()) found.push_back(mark_on(burst->origin(frame)));
    return found;
  };
  EXPECT_EQ(marks(), (std::vector<std::uint32_t>{1, 0, 3, 0}));
  EXPECT_EQ(burst->cut_after(Instant{Duration{2}}), 2u);
  burst->append(bytes, Instant{Duration{5}});  // In the place of the third, without its tags.
  EXPECT_EQ(marks(), (std::vector<std::uint32_t>{1, 0, 0}));
  burst->cut_to(1);
  burst = nullptr;
  EXPECT_EQ(one->GetReferenceCount(), 1u);  // A burst at rest keeps nothing alive.
  EXPECT_EQ(three->GetReferenceCount(), 1u);
  burst = pool->acquire();
  burst->append(bytes, Instant{Duration{6}});
  EXPECT_EQ(marks(), (std::vector<std::uint32_t>{0}));
}

TEST(TagStore, ForgetsWhenABufferIsUsedAnew) {
  TagStore tags;
  Packet packet{};
  packet.buffer = 7;
  packet.arrival = 100;
  packet.ingress = 1;
  EXPECT_EQ(tags.find(packet), nullptr);
  tags.set(packet, nullptr);
  EXPECT_EQ(tags.find(packet), nullptr);
  const auto origin = tagged(10, 5);
  tags.set(packet, ns3::PeekPointer(origin));
  EXPECT_EQ(mark_on(tags.find(packet)), 5u);
  Packet made = packet;  // By a function, into the same buffer.
  made.arrival = 200;
  made.ingress = 0xffff;
  EXPECT_EQ(tags.find(made), nullptr);
  Packet next = packet;  // Received, without tags.
  next.arrival = 300;
  tags.set(next, nullptr);
  EXPECT_EQ(tags.find(next), nullptr);
  EXPECT_EQ(tags.find(packet), nullptr);
  EXPECT_EQ(origin->GetReferenceCount(), 1u);
}

class BurstTags : public SimTest {};

TEST_F(BurstTags, CrossALinkInBothCopiesOfADuplicate) {
  BurstPair pair;
  LinkFaults faults;
  faults.duplicate = kPpmOne;
  pair.channel->link_from(*pair.left).set_faults(faults);
  std::vector<std::uint32_t> marks;
  pair.right->SetReceiveCallback(ns3::NetDevice::ReceiveCallback(
      [&marks](ns3::Ptr<ns3::NetDevice>, ns3::Ptr<const ns3::Packet> packet, std::uint16_t,
               const ns3::Address&) {
        marks.push_back(mark_on(ns3::PeekPointer(packet)));
        return true;
      }));
  pair.left->Send(tagged(100, 9), pair.right->GetAddress(), 0x0800);
  pair.left->Send(ns3::Create<ns3::Packet>(100), pair.right->GetAddress(), 0x0800);
  ns3::Simulator::Run();
  EXPECT_EQ(marks, (std::vector<std::uint32_t>{9, 9, 0, 0}));
}

}  // namespace
}  // namespace sluice
