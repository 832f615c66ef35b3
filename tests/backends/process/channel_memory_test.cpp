#include "backends/process/channel_memory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sluice {
namespace {

using testing::HasSubstr;

constexpr ChannelMemory::Capacities kCapacities{.receive = 256, .give_back = 512, .messages = 64};

ChannelMemory make(const ChannelMemory::Capacities& capacities = kCapacities) {
  auto channel = ChannelMemory::create("test", capacities);
  EXPECT_TRUE(channel) << channel.error();
  return std::move(*channel);
}

Result<ChannelMemory, std::string> attach(const ChannelMemory& channel,
                                          const ChannelMemory::Capacities& capacities) {
  return ChannelMemory::attach(Fd{::dup(channel.fd())}, capacities);
}

/// All bytes of a channel's memory, as a hostile peer has them.
SharedMemory bytes_of(const ChannelMemory& channel) {
  auto memory = SharedMemory::map(Fd{::dup(channel.fd())}, 1);
  EXPECT_TRUE(memory) << memory.error();
  return std::move(*memory);
}

Packet packet_with(std::uint32_t buffer) {
  Packet packet{};
  packet.buffer = buffer;
  return packet;
}

TEST(ChannelMemory, AttachSeesWhatCreateMade) {
  const ChannelMemory host = make();
  const auto instance = attach(host, kCapacities);
  ASSERT_TRUE(instance) << instance.error();

  SpscRing<Packet> to = host.channel().receive;
  const std::array sent = {packet_with(3), packet_with(5)};
  EXPECT_EQ(to.enqueue(sent), 2u);
  EXPECT_EQ(host.waiting(), 2u);
  std::array<Packet, 4> got;
  SpscRing<Packet> from = instance->wiring().receive;
  ASSERT_EQ(from.dequeue(got), 2u);
  EXPECT_EQ(got[0].buffer, 3u);
  EXPECT_EQ(got[1].buffer, 5u);
  EXPECT_EQ(host.waiting(), 0u);

  SpscRing<Packet> back = instance->wiring().give_back;
  EXPECT_EQ(back.enqueue(std::array{packet_with(9)}), 1u);
  SpscRing<Packet> home = host.channel().give_back;
  ASSERT_EQ(home.dequeue(got), 1u);
  EXPECT_EQ(got[0].buffer, 9u);

  SpscRing<Message> say = host.channel().messages;
  EXPECT_EQ(say.enqueue(std::array{Message{Message::Kind::kStop, kNoFlow, {}}}), 1u);
  SpscRing<Message> hear = instance->wiring().messages;
  std::array<Message, 2> heard;
  ASSERT_EQ(hear.dequeue(heard), 1u);
  EXPECT_EQ(heard[0].kind, Message::Kind::kStop);

  instance->page().heartbeat.store(42);
  EXPECT_EQ(host.page().heartbeat.load(), 42u);
}

TEST(ChannelMemory, RingsHaveTheCapacitiesAskedFor) {
  const ChannelMemory channel = make();
  EXPECT_EQ(channel.channel().receive.capacity(), kCapacities.receive);
  EXPECT_EQ(channel.channel().give_back.capacity(), kCapacities.give_back);
  EXPECT_EQ(channel.channel().messages.capacity(), kCapacities.messages);
}

TEST(ChannelMemory, GiveBackRingHoldsAllThatAnInstanceMayHave) {
  for (const std::uint32_t receive : {64u, 512u, 4096u}) {
    const auto capacities = ChannelMemory::capacities_for(receive);
    EXPECT_EQ(capacities.receive, receive);
    EXPECT_GE(capacities.give_back, outstanding_max(receive));
    EXPECT_TRUE(attach(make(capacities), capacities));
  }
}

TEST(ChannelMemory, AttachRefusesOtherCapacities) {
  // Small rings: all places are the same, so only the capacities themselves tell.
  constexpr ChannelMemory::Capacities kSmall{.receive = 16, .give_back = 16, .messages = 16};
  for (const ChannelMemory::Capacities& made : {kCapacities, kSmall}) {
    const ChannelMemory channel = make(made);
    for (auto field : {&ChannelMemory::Capacities::receive, &ChannelMemory::Capacities::give_back,
                       &ChannelMemory::Capacities::messages}) {
      for (const std::uint32_t other : {made.*field / 2, made.*field * 2}) {
        ChannelMemory::Capacities wrong = made;
        wrong.*field = other;
        EXPECT_FALSE(attach(channel, wrong)) << made.*field << " as " << other;
      }
    }
  }
}

TEST(ChannelMemory, AttachRefusesImpossibleCapacities) {
  const ChannelMemory channel = make();
  for (const std::uint32_t impossible : {0u, 3u, RingHeader::kCapacityMax * 2, 0xffff'ffffu}) {
    ChannelMemory::Capacities wrong = kCapacities;
    wrong.receive = impossible;
    const auto refused = attach(channel, wrong);
    ASSERT_FALSE(refused) << impossible;
    EXPECT_EQ(refused.error(), "ring capacities are no powers of two");
  }
}

TEST(ChannelMemory, AttachRefusesMemoryThatIsTooSmall) {
  auto small = SharedMemory::create("test", 4096, SharedMemory::Pages::kOrdinary);
  ASSERT_TRUE(small);
  const auto refused = ChannelMemory::attach(Fd{::dup(small->fd())}, kCapacities);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr("shared memory has 4096 bytes; expected "));
}

TEST(ChannelMemory, AttachRefusesAnotherVersionOfTheControlPage) {
  const ChannelMemory channel = make();
  channel.page().version = ControlPage::kVersion + 1;
  const auto refused = attach(channel, kCapacities);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), "control page of another version");
}

TEST(ChannelMemory, AttachRefusesGarbage) {
  for (const std::byte fill : {std::byte{0x00}, std::byte{0x55}, std::byte{0xff}}) {
    const ChannelMemory channel = make();
    const SharedMemory memory = bytes_of(channel);
    // With the right control page, so that the rings are looked at.
    std::fill(memory.bytes().begin() + 4096, memory.bytes().end(), fill);
    const auto refused = attach(channel, kCapacities);
    ASSERT_FALSE(refused) << int(fill);
    EXPECT_THAT(refused.error(), HasSubstr("ring memory holds no ring"));
    std::fill_n(memory.bytes().begin(), 4096, fill);
    EXPECT_FALSE(attach(channel, kCapacities)) << int(fill);
  }
}

TEST(ChannelMemory, AttachIsNotLedOutsideByARingThatGrew) {
  const ChannelMemory channel = make();
  const SharedMemory memory = bytes_of(channel);
  auto* header = reinterpret_cast<RingHeader*>(memory.bytes().data() + 4096);
  ASSERT_EQ(header->capacity, kCapacities.receive);
  header->capacity *= 2;  // Still inside the memory, but over the next ring.
  EXPECT_FALSE(attach(channel, kCapacities));
  header->capacity = RingHeader::kCapacityMax;
  EXPECT_FALSE(attach(channel, kCapacities));
}

}  // namespace
}  // namespace sluice
