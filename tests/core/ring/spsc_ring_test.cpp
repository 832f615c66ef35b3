#include "core/ring/spsc_ring.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstdint>
#include <deque>
#include <numeric>
#include <vector>

namespace sluice {
namespace {

using Ring = SpscRing<std::uint64_t>;

/// Memory for a ring, with bytes behind it that nobody may touch.
class Memory {
 public:
  explicit Memory(std::uint32_t capacity)
      : size_(Ring::bytes_needed(capacity)), lines_(size_ / 64 + 1) {
    lines_.back().bytes.fill(std::byte{0xa5});
  }
  std::span<std::byte> bytes() { return {lines_.front().bytes.data(), size_}; }
  RingHeader& header() { return *reinterpret_cast<RingHeader*>(bytes().data()); }
  bool untouched_behind() const { return lines_.back().bytes == filled(); }

 private:
  struct alignas(64) Line {
    std::array<std::byte, 64> bytes{};
  };
  static std::array<std::byte, 64> filled() {
    std::array<std::byte, 64> bytes{};
    bytes.fill(std::byte{0xa5});
    return bytes;
  }
  std::size_t size_;
  std::vector<Line> lines_;
};

std::vector<std::uint64_t> numbers(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> result(count);
  std::iota(result.begin(), result.end(), first);
  return result;
}

std::vector<std::uint64_t> take(Ring& ring, std::size_t count) {
  std::vector<std::uint64_t> result(count);
  result.resize(ring.dequeue(result));
  return result;
}

TEST(SpscRing, TakesWhatFitsAndLeavesTheRest) {
  Memory memory{8};
  Ring ring = Ring::create(memory.bytes(), 8);
  EXPECT_EQ(ring.capacity(), 8u);
  EXPECT_TRUE(ring.empty());
  EXPECT_EQ(ring.enqueue(numbers(0, 5)), 5u);
  EXPECT_EQ(ring.enqueue(numbers(5, 5)), 3u);
  EXPECT_EQ(ring.enqueue(numbers(8, 1)), 0u);
  EXPECT_EQ(ring.size(), 8u);
  EXPECT_EQ(take(ring, 3), numbers(0, 3));
  EXPECT_EQ(take(ring, 20), numbers(3, 5));
  EXPECT_TRUE(take(ring, 1).empty());
  EXPECT_TRUE(ring.empty());
}

TEST(SpscRing, HandleMadeByDefaultTakesNothing) {
  Ring ring;
  EXPECT_EQ(ring.enqueue(numbers(0, 3)), 0u);
  EXPECT_TRUE(take(ring, 3).empty());
  EXPECT_EQ(ring.size(), 0u);
  EXPECT_EQ(ring.capacity(), 0u);
}

TEST(SpscRing, SecondHandleSeesWhatTheFirstPutIn) {
  Memory memory{4};
  Ring producer = Ring::create(memory.bytes(), 4);
  ASSERT_EQ(producer.enqueue(numbers(7, 2)), 2u);
  auto consumer = Ring::attach(memory.bytes());
  ASSERT_TRUE(consumer.has_value()) << consumer.error();
  EXPECT_EQ(consumer->size(), 2u);
  EXPECT_EQ(take(*consumer, 4), numbers(7, 2));
  EXPECT_EQ(producer.enqueue(numbers(9, 4)), 4u);
  EXPECT_EQ(take(*consumer, 4), numbers(9, 4));
}

TEST(SpscRing, AttachSaysInWordsWhatIsWrong) {
  const auto error = [](auto&& spoil) {
    Memory memory{8};
    (void)Ring::create(memory.bytes(), 8);
    spoil(memory.header());
    const auto ring = Ring::attach(memory.bytes());
    return ring ? std::string{"no error"} : ring.error();
  };
  EXPECT_EQ(error([](RingHeader&) {}), "no error");
  EXPECT_EQ(error([](RingHeader& h) { h.magic ^= 1; }),
            "ring memory holds no ring: its magic is wrong");
  EXPECT_EQ(error([](RingHeader& h) { h.element_size = 32; }),
            "ring has elements of 32 bytes; expected 8");
  EXPECT_EQ(error([](RingHeader& h) { h.capacity = 7; }),
            "ring capacity 7 is not a power of two up to 16777216");
  EXPECT_EQ(error([](RingHeader& h) { h.capacity = 0; }),
            "ring capacity 0 is not a power of two up to 16777216");
  EXPECT_EQ(error([](RingHeader& h) { h.capacity = 1u << 31; }),
            "ring capacity 2147483648 is not a power of two up to 16777216");
  EXPECT_EQ(error([](RingHeader& h) { h.capacity = 16; }),
            "ring memory has 448 bytes; a ring of capacity 16 needs 512");
  EXPECT_EQ(error([](RingHeader& h) { h.tail = 9; }),
            "ring indices 0 and 9 are further apart than its capacity 8");
  Memory memory{8};
  EXPECT_EQ(Ring::attach(memory.bytes()).error(), "ring memory holds no ring: its magic is wrong");
  EXPECT_EQ(Ring::attach(memory.bytes().first(100)).error(),
            "ring memory has 100 bytes; a ring's header has 384");
  EXPECT_EQ(Ring::attach(memory.bytes().subspan(8)).error(),
            "ring memory is not aligned to 64 bytes");
}

TEST(SpscRingDeathTest, RefusesACapacityThatIsNoPowerOfTwo) {
  Memory memory{8};
  EXPECT_DEATH((void)Ring::create(memory.bytes(), 6), "valid_capacity");
}

// A hostile peer writes whatever index it likes. The victim must neither touch memory outside the
// ring nor hand out more than the capacity, and must know.
RC_GTEST_PROP(SpscRing, SurvivesAnyIndexOfAHostilePeer, ()) {
  Memory memory{8};
  Ring ring = Ring::create(memory.bytes(), 8, *rc::gen::arbitrary<std::uint32_t>());
  const std::uint32_t start = memory.header().tail.load();
  RC_ASSERT(ring.enqueue(numbers(0, 4)) == 4u);
  for (int round = 0; round < 10; ++round) {
    const auto index = *rc::gen::arbitrary<std::uint32_t>();
    if (*rc::gen::arbitrary<bool>()) {
      memory.header().head = index;
      const bool possible = start + 4 - index <= 8;
      const std::uint32_t count = ring.enqueue(numbers(0, 32));
      RC_ASSERT(count <= 8u);
      if (round == 0 && !possible) RC_ASSERT(ring.peer_misbehaved());
    } else {
      memory.header().tail = index;
      const bool possible = index - start <= 8;
      RC_ASSERT(take(ring, 32).size() <= 8u);
      if (round == 0 && !possible) RC_ASSERT(ring.peer_misbehaved());
    }
    RC_ASSERT(ring.size() <= 8u);
    RC_ASSERT(memory.untouched_behind());
    RC_ASSERT(ring.capacity() == 8u);
  }
}

TEST(SpscRing, HonestPeerIsNotAccused) {
  Memory memory{2};
  Ring ring = Ring::create(memory.bytes(), 2, 0xffffffff);
  for (std::uint64_t i = 0; i < 100; ++i) {
    (void)ring.enqueue(numbers(i, 3));
    (void)take(ring, 1 + i % 3);
  }
  EXPECT_FALSE(ring.peer_misbehaved());
}

// Batches of any size against a deque; the indices start shortly before they wrap.
RC_GTEST_PROP(SpscRing, EqualsADequeAlsoWhereIndicesWrap, ()) {
  const std::uint32_t capacity = 1u << *rc::gen::inRange(0, 7);
  Memory memory{capacity};
  const auto first_index = static_cast<std::uint32_t>(-*rc::gen::inRange(0, 300));
  Ring one = Ring::create(memory.bytes(), capacity, first_index);
  const bool two_handles = *rc::gen::arbitrary<bool>();
  auto attached = Ring::attach(memory.bytes());
  RC_ASSERT(attached.has_value());
  Ring& other = two_handles ? *attached : one;
  std::deque<std::uint64_t> oracle;
  std::uint64_t next = 0;
  const auto batches = *rc::gen::container<std::vector<int>>(rc::gen::inRange(-80, 80));
  for (const int batch : batches) {
    if (batch >= 0) {
      const auto wanted = static_cast<std::size_t>(batch);
      const std::size_t expected = std::min<std::size_t>(wanted, capacity - oracle.size());
      RC_ASSERT(one.enqueue(numbers(next, wanted)) == expected);
      for (std::size_t i = 0; i < expected; ++i) oracle.push_back(next++);
    } else {
      const auto wanted = static_cast<std::size_t>(-batch);
      const std::size_t expected = std::min(wanted, oracle.size());
      const std::vector<std::uint64_t> taken = take(other, wanted);
      RC_ASSERT(taken.size() == expected);
      for (const std::uint64_t value : taken) {
        RC_ASSERT(value == oracle.front());
        oracle.pop_front();
      }
    }
    RC_ASSERT(one.size() == oracle.size());
    RC_ASSERT(other.empty() == oracle.empty());
  }
  RC_ASSERT(memory.untouched_behind());
}

}  // namespace
}  // namespace sluice
