#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <thread>

#include "core/packet/packet.hpp"
#include "core/ring/spsc_ring.hpp"

// One side in another thread, and in another process. Both sides run freely; nothing here depends
// on who is faster.
namespace sluice {
namespace {

constexpr std::uint64_t kPacketCount = 1'000'000;

/// A descriptor whose every field follows from its number, so that a torn or stale one is seen.
Packet packet_number(std::uint64_t number) {
  const std::uint64_t mixed = number * 0x9e3779b97f4a7c15u;
  Packet packet{};
  packet.buffer = static_cast<std::uint32_t>(number);
  packet.offset = static_cast<std::uint16_t>(mixed >> 8);
  packet.length = static_cast<std::uint16_t>(mixed >> 24);
  packet.flow = static_cast<std::uint32_t>(mixed >> 32);
  packet.tag = static_cast<std::uint32_t>(mixed >> 16);
  packet.chain = static_cast<std::uint16_t>(mixed >> 40);
  packet.arrival = mixed;
  return packet;
}

/// Batches of 1 to 32, and partial success, in an order that repeats. Ends early on `stop`.
void produce(SpscRing<Packet>& ring, const std::atomic<bool>& stop) {
  std::array<Packet, 32> batch;
  for (std::uint64_t sent = 0; sent < kPacketCount && !stop;) {
    const std::uint64_t wanted = std::min(1 + sent % 32, kPacketCount - sent);
    for (std::uint64_t i = 0; i < wanted; ++i) batch[i] = packet_number(sent + i);
    const std::uint32_t taken = ring.enqueue({batch.data(), wanted});
    if (taken == 0) std::this_thread::yield();
    sent += taken;
  }
}

/// @return How many came in order and whole before the first that did not, or all.
std::uint64_t consume(SpscRing<Packet>& ring) {
  std::array<Packet, 32> batch;
  for (std::uint64_t seen = 0; seen < kPacketCount;) {
    const std::uint32_t count = ring.dequeue(std::span{batch}.first(1 + seen % 32));
    if (count == 0) std::this_thread::yield();
    for (std::uint32_t i = 0; i < count; ++i) {
      if (batch[i] != packet_number(seen)) return seen;
      ++seen;
    }
  }
  return kPacketCount;
}

TEST(SpscRing, KeepsOrderAndBytesBetweenTwoThreads) {
  OwnedSpscRing<Packet> owned{64};
  std::atomic<bool> stop{false};
  std::thread producer{[&] { produce(owned.ring(), stop); }};
  const std::uint64_t seen = consume(owned.ring());
  stop = true;  // A consumer that gave up must not leave the producer waiting for room.
  producer.join();
  EXPECT_EQ(seen, kPacketCount);
  EXPECT_TRUE(owned.ring().empty());
  EXPECT_FALSE(owned.ring().peer_misbehaved());
}

TEST(SpscRing, KeepsOrderAndBytesBetweenTwoProcesses) {
  const std::size_t size = SpscRing<Packet>::bytes_needed(64);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  const std::span<std::byte> bytes{static_cast<std::byte*>(memory), size};
  SpscRing<Packet> ring = SpscRing<Packet>::create(bytes, 64);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto attached = SpscRing<Packet>::attach(bytes);
    if (!attached) _exit(2);
    produce(*attached, false);
    _exit(attached->peer_misbehaved() ? 3 : 0);
  }
  const std::uint64_t seen = consume(ring);
  if (seen != kPacketCount) kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(seen, kPacketCount);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_FALSE(ring.peer_misbehaved());
  munmap(memory, size);
}

}  // namespace
}  // namespace sluice
