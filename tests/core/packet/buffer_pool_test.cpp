#include "core/packet/buffer_pool.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace sluice {
namespace {

TEST(BufferPool, GivesTheBufferFreedLastFirst) {
  BufferPool pool{4};
  std::array<std::uint32_t, 3> buffers{};
  ASSERT_EQ(pool.allocate(buffers), 3u);
  EXPECT_EQ(buffers, (std::array<std::uint32_t, 3>{0, 1, 2}));
  pool.release(std::span(buffers).subspan(1, 1));
  std::array<std::uint32_t, 1> again{};
  ASSERT_EQ(pool.allocate(again), 1u);
  EXPECT_EQ(again[0], 1u);
}

TEST(BufferPool, GivesWhatIsLeftWhenItRunsEmpty) {
  BufferPool pool{2};
  std::array<std::uint32_t, 3> buffers{7, 7, 7};
  EXPECT_EQ(pool.allocate(buffers), 2u);
  EXPECT_EQ(buffers[2], 7u);
  EXPECT_EQ(pool.available(), 0u);
  EXPECT_EQ(pool.allocate(buffers), 0u);
}

TEST(BufferPoolDeathTest, RefusesBuffersThatDoNotExist) {
  BufferPool pool{2};
  std::array<std::uint32_t, 1> buffers{};
  ASSERT_EQ(pool.allocate(buffers), 1u);
  buffers[0] = 2;
  EXPECT_DEATH(pool.release(buffers), "check failed");
  const std::array<std::uint32_t, 2> too_many{0, 1};
  EXPECT_DEATH(pool.release(too_many), "check failed");
}

RC_GTEST_PROP(BufferPool, NeverGivesABufferTwice, ()) {
  const auto count = *rc::gen::inRange<std::uint32_t>(0, 40);
  BufferPool pool{count};
  std::set<std::uint32_t> out;
  for (const auto step :
       *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>())) {
    const std::size_t amount = step / 2 % 10;
    if (step % 2 == 0) {
      std::vector<std::uint32_t> buffers(amount);
      const std::uint32_t given = pool.allocate(buffers);
      RC_ASSERT(given == std::min<std::size_t>(amount, count - out.size()));
      for (std::uint32_t i = 0; i < given; ++i) {
        RC_ASSERT(buffers[i] < count);
        RC_ASSERT(out.insert(buffers[i]).second);
      }
    } else {
      std::vector<std::uint32_t> buffers;
      while (!out.empty() && buffers.size() < amount) {
        buffers.push_back(*out.begin());
        out.erase(out.begin());
      }
      pool.release(buffers);
    }
    RC_ASSERT(pool.available() == count - out.size());
  }
}

}  // namespace
}  // namespace sluice
