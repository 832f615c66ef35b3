#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "core/host/packet_io.hpp"
#include "core/packet/packet_batch.hpp"
#include "core/packet/packet_memory.hpp"
#include "tests/support/frames.hpp"

/// What every PacketIo must do, whatever is behind it. A backend joins with an End and one line,
/// INSTANTIATE_TYPED_TEST_SUITE_P(Name, PacketIoSuite, MyEnd), in a file of its own here.
///
/// An End is a PacketIo of two ports and the wires at them:
///
///     explicit End(const EndOptions&);
///     auto& io();                                 // The PacketIo.
///     PacketMemory memory();
///     std::uint32_t available();                  // Free buffers.
///     Instant now();                              // Of its clock.
///     void offer(PortId, const frames::Bytes&);   // Comes in from outside.
///     void settle();                              // Until all that is on a wire has arrived.
///     std::vector<frames::Bytes> sent(PortId);    // What went out so far, in order.
///     static constexpr std::size_t kHeaderBytesLost;  // First bytes that the link does not carry.
namespace sluice::conformance {

struct EndOptions {
  std::uint32_t buffer_count = 128;
  std::uint32_t buffer_size = 2048;
  std::uint32_t queue_frames = 1024;  ///< How many frames a port takes before it is full, about.
};

template <class End>
class PacketIoSuite : public ::testing::Test {
 protected:
  /// A frame that says its number, and is as long as that makes it interesting.
  static frames::Bytes frame(std::uint32_t number, std::size_t payload_bytes = 100) {
    frames::Bytes payload(payload_bytes, static_cast<std::byte>(number * 7));
    return frames::udp(
        {.source_port = static_cast<std::uint16_t>(1000 + number), .payload = payload}, {},
        {.size_min = 60});
  }
  static std::vector<frames::Bytes> numbered(std::uint32_t count) {
    std::vector<frames::Bytes> all;
    for (std::uint32_t i = 0; i < count; ++i) all.push_back(frame(i, 30 + 20 * i % 1400));
    return all;
  }
  static frames::Bytes carried(frames::Bytes frame) {
    frame.erase(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(
                                                   std::min(End::kHeaderBytesLost, frame.size())));
    return frame;
  }
  static std::vector<frames::Bytes> carried(std::vector<frames::Bytes> all) {
    for (frames::Bytes& each : all) each = carried(std::move(each));
    return all;
  }
  static std::vector<std::uint32_t> buffers_of(std::span<const Packet> packets) {
    std::vector<std::uint32_t> buffers;
    for (const Packet& packet : packets) buffers.push_back(packet.buffer);
    return buffers;
  }
  static std::vector<frames::Bytes> bytes_of(const PacketBatch& batch) {
    std::vector<frames::Bytes> all;
    for (const Packet& packet : batch) {
      const auto bytes = batch.bytes(packet);
      all.emplace_back(bytes.begin(), bytes.end());
    }
    return all;
  }
  /// Packets of `all` in fresh buffers, as functions leave them.
  static std::vector<Packet> packets_of(End& end, const std::vector<frames::Bytes>& all) {
    std::vector<Packet> packets;
    for (const frames::Bytes& each : all) {
      Packet packet{};
      EXPECT_EQ(end.io().allocate({&packet.buffer, 1}), 1u);
      packet.offset = kHeadroom;
      packet.length = static_cast<std::uint16_t>(each.size());
      const PacketMemory memory = end.memory();
      std::copy(each.begin(), each.end(), memory.bytes(packet).begin());
      packets.push_back(packet);
    }
    return packets;
  }
  static constexpr PortId kFirst{0}, kSecond{1};
};
TYPED_TEST_SUITE_P(PacketIoSuite);

TYPED_TEST_P(PacketIoSuite, ReceiveDescribesThePacketAndLeavesItsBytes) {
  TypeParam end{EndOptions{}};
  const auto all = this->numbered(10);
  for (const auto& each : all) end.offer(this->kSecond, each);
  end.settle();
  PacketBatch batch{end.memory()};
  EXPECT_EQ(end.io().receive(this->kSecond, batch), 0u);
  ASSERT_EQ(batch.size(), all.size());
  EXPECT_EQ(this->carried(this->bytes_of(batch)), this->carried(all));
  std::set<std::uint32_t> buffers;
  std::uint64_t arrival_before = 1;
  for (const Packet& packet : batch) {
    EXPECT_TRUE(end.memory().contains(packet));
    EXPECT_GE(packet.offset, kHeadroom);
    EXPECT_EQ(packet.ingress, index_of(this->kSecond));
    EXPECT_GE(packet.arrival, arrival_before);
    EXPECT_LE(packet.arrival, to_ns(end.now()));
    EXPECT_EQ(packet.flow, kNoFlow);
    EXPECT_EQ(packet.chain, 0xffffu);
    EXPECT_EQ(packet.tag, 0u);
    EXPECT_EQ(packet.verdict, Verdict::kUndecided);
    arrival_before = packet.arrival;
    buffers.insert(packet.buffer);
  }
  EXPECT_EQ(buffers.size(), all.size()) << "two packets in one buffer";
  EXPECT_EQ(end.available(), EndOptions{}.buffer_count - all.size());
}

TYPED_TEST_P(PacketIoSuite, ReceiveStopsWhereTheBatchIsFullAndGoesOnThere) {
  TypeParam end{EndOptions{}};
  const auto all = this->numbered(50);
  for (const auto& each : all) end.offer(this->kFirst, each);
  end.settle();
  std::vector<frames::Bytes> got;
  PacketBatch batch{end.memory()};
  for (const std::uint32_t expected : {32u, 18u, 0u}) {
    batch.clear();
    EXPECT_EQ(end.io().receive(this->kFirst, batch), 0u);
    EXPECT_EQ(batch.size(), expected);
    for (auto& each : this->bytes_of(batch)) got.push_back(each);
  }
  EXPECT_EQ(this->carried(got), this->carried(all));
}

TYPED_TEST_P(PacketIoSuite, ReceiveAppendsToWhatTheBatchHolds) {
  TypeParam end{EndOptions{}};
  for (const auto& each : this->numbered(8)) end.offer(this->kFirst, each);
  end.settle();
  PacketBatch batch{end.memory()};
  for (std::uint32_t i = 0; i < 30; ++i) {
    Packet earlier{};
    earlier.buffer = 5000 + i;
    batch.push(earlier);
  }
  EXPECT_EQ(end.io().receive(this->kFirst, batch), 0u);
  EXPECT_EQ(batch.size(), 32u);
  for (std::uint32_t i = 0; i < 30; ++i) EXPECT_EQ(batch[i].buffer, 5000 + i);
  batch.clear();
  EXPECT_EQ(end.io().receive(this->kFirst, batch), 0u);
  EXPECT_EQ(batch.size(), 6u);
}

TYPED_TEST_P(PacketIoSuite, PortsAreApart) {
  TypeParam end{EndOptions{}};
  end.offer(this->kFirst, this->frame(1));
  end.settle();
  PacketBatch batch{end.memory()};
  EXPECT_EQ(end.io().receive(this->kSecond, batch), 0u);
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(end.io().receive(this->kFirst, batch), 0u);
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(batch[0].ingress, index_of(this->kFirst));
  EXPECT_EQ(end.io().transmit(this->kSecond, {batch.begin(), 1}), 1u);
  end.settle();
  EXPECT_TRUE(end.sent(this->kFirst).empty());
  EXPECT_EQ(end.sent(this->kSecond).size(), 1u);
}

TYPED_TEST_P(PacketIoSuite, AnEmptyPoolLosesFramesAndSaysHowMany) {
  TypeParam end{EndOptions{.buffer_count = 7}};
  const auto all = this->numbered(10);
  for (const auto& each : all) end.offer(this->kFirst, each);
  end.settle();
  PacketBatch batch{end.memory()};
  EXPECT_EQ(end.io().receive(this->kFirst, batch), 3u);
  EXPECT_EQ(batch.size(), 7u);
  EXPECT_EQ(end.available(), 0u);
  end.io().release(this->buffers_of({batch.begin(), batch.size()}));
  EXPECT_EQ(end.available(), 7u);
  end.offer(this->kFirst, all[0]);
  end.settle();
  batch.clear();
  EXPECT_EQ(end.io().receive(this->kFirst, batch), 0u);
  EXPECT_EQ(batch.size(), 1u);
}

TYPED_TEST_P(PacketIoSuite, AFrameLargerThanABufferIsLostWhole) {
  TypeParam end{EndOptions{.buffer_size = 1024}};
  const auto small = this->frame(1, 100);
  const auto large = this->frame(2, 1400);  // More than a buffer without its headroom.
  for (const auto& each : {small, large, small}) end.offer(this->kFirst, each);
  end.settle();
  PacketBatch batch{end.memory()};
  EXPECT_EQ(end.io().receive(this->kFirst, batch), 1u);
  ASSERT_EQ(batch.size(), 2u);
  for (const auto& each : this->bytes_of(batch)) {
    EXPECT_EQ(this->carried(each), this->carried(small));
  }
  end.io().release(this->buffers_of({batch.begin(), batch.size()}));
  EXPECT_EQ(end.available(), EndOptions{}.buffer_count);
}

TYPED_TEST_P(PacketIoSuite, TransmitKeepsOrderAndBytesAndFreesTheBuffers) {
  TypeParam end{EndOptions{}};
  const auto all = this->numbered(70);  // More than a batch.
  const auto packets = this->packets_of(end, all);
  EXPECT_EQ(end.available(), EndOptions{}.buffer_count - 70);
  EXPECT_EQ(end.io().transmit(this->kFirst, packets), 70u);
  end.settle();
  EXPECT_EQ(this->carried(end.sent(this->kFirst)), this->carried(all));
  EXPECT_EQ(end.available(), EndOptions{}.buffer_count);
}

TYPED_TEST_P(PacketIoSuite, TransmitLeavesUsWhatThePortHasNoRoomFor) {
  TypeParam end{EndOptions{.queue_frames = 8}};
  const auto all = this->numbered(40);
  const auto packets = this->packets_of(end, all);
  const std::uint32_t sent = end.io().transmit(this->kFirst, packets);
  ASSERT_GT(sent, 0u);
  ASSERT_LT(sent, 40u);
  end.settle();
  const std::vector<frames::Bytes> first(all.begin(), all.begin() + sent);
  EXPECT_EQ(this->carried(end.sent(this->kFirst)), this->carried(first));
  EXPECT_EQ(end.available(), EndOptions{}.buffer_count - (40 - sent));
  // What was not sent is untouched, and ours to free.
  const PacketMemory memory = end.memory();
  for (std::uint32_t i = sent; i < 40; ++i) {
    const auto bytes = memory.bytes(packets[i]);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), all[i].begin(), all[i].end()));
  }
  end.io().release(this->buffers_of(std::span{packets}.subspan(sent)));
  EXPECT_EQ(end.available(), EndOptions{}.buffer_count);
}

TYPED_TEST_P(PacketIoSuite, TransmitOfNothingIsNothing) {
  TypeParam end{EndOptions{}};
  EXPECT_EQ(end.io().transmit(this->kFirst, {}), 0u);
  end.settle();
  EXPECT_TRUE(end.sent(this->kFirst).empty());
}

TYPED_TEST_P(PacketIoSuite, RuntsHarmNoOtherFrameAndLeakNothing) {
  TypeParam end{EndOptions{}};
  const auto good = this->frame(1);
  std::vector<frames::Bytes> all{good};
  for (const std::size_t size : {1u, 13u, 14u, 20u}) {
    all.push_back(frames::Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)));
    all.push_back(good);
  }
  const auto packets = this->packets_of(end, all);
  ASSERT_EQ(end.io().transmit(this->kFirst, packets), all.size());
  end.settle();
  const auto sent = this->carried(end.sent(this->kFirst));
  EXPECT_EQ(std::count(sent.begin(), sent.end(), this->carried(good)), 5);
  EXPECT_LE(sent.size(), all.size());
  EXPECT_EQ(end.available(), EndOptions{}.buffer_count);
}

TYPED_TEST_P(PacketIoSuite, AllocateGivesEachBufferOnceAndOnlyWhatIsThere) {
  TypeParam end{EndOptions{.buffer_count = 20}};
  std::array<std::uint32_t, 16> first{}, second{};
  EXPECT_EQ(end.io().allocate(first), 16u);
  EXPECT_EQ(end.io().allocate(second), 4u);
  EXPECT_EQ(end.io().allocate(second), 0u);
  std::set<std::uint32_t> buffers(first.begin(), first.end());
  EXPECT_EQ(buffers.size(), 16u);
  EXPECT_LT(*buffers.rbegin(), 20u);
  end.io().release(first);
  EXPECT_EQ(end.available(), 16u);
  std::array<std::uint32_t, 32> all{};
  EXPECT_EQ(end.io().allocate(all), 16u);
  EXPECT_EQ(end.available(), 0u);
}

TYPED_TEST_P(PacketIoSuite, NothingLeaksInAThousandRounds) {
  TypeParam end{EndOptions{.buffer_count = 40, .queue_frames = 16}};
  std::uint64_t offered = 0, received = 0, lost = 0, forwarded = 0;
  for (std::uint32_t round = 0; round < 1000; ++round) {
    for (std::uint32_t i = 0; i < round % 48; ++i, ++offered) end.offer(PortId{0}, this->frame(i));
    end.settle();
    for (std::uint32_t turn = 0; turn < 3; ++turn) {
      PacketBatch batch{end.memory()};
      lost += end.io().receive(PortId{0}, batch);
      received += batch.size();
      const std::span<const Packet> packets{batch.begin(), batch.size()};
      const std::uint32_t sent = end.io().transmit(PortId{1}, packets);
      forwarded += sent;
      end.io().release(this->buffers_of(packets.subspan(sent)));
      if (round % 2 == 0) end.settle();
    }
  }
  end.settle();
  EXPECT_EQ(received + lost, offered);
  EXPECT_EQ(end.sent(PortId{1}).size(), forwarded);
  EXPECT_GT(forwarded, 0u);
  EXPECT_EQ(end.available(), 40u);
}

REGISTER_TYPED_TEST_SUITE_P(
    PacketIoSuite, ReceiveDescribesThePacketAndLeavesItsBytes,
    ReceiveStopsWhereTheBatchIsFullAndGoesOnThere, ReceiveAppendsToWhatTheBatchHolds, PortsAreApart,
    AnEmptyPoolLosesFramesAndSaysHowMany, AFrameLargerThanABufferIsLostWhole,
    TransmitKeepsOrderAndBytesAndFreesTheBuffers, TransmitLeavesUsWhatThePortHasNoRoomFor,
    TransmitOfNothingIsNothing, RuntsHarmNoOtherFrameAndLeakNothing,
    AllocateGivesEachBufferOnceAndOnlyWhatIsThere, NothingLeaksInAThousandRounds);

}  // namespace sluice::conformance
