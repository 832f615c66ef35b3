#include "backends/process/table_memory.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace sluice {
namespace {

TEST(TableMemory, IsZeroesAlignedToAHugePage) {
  const TableMemory memory{3'000'000};
  EXPECT_GE(memory.bytes().size(), 3'000'000u);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory.bytes().data()) % (2u << 20), 0u);
  EXPECT_TRUE(std::ranges::all_of(memory.bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST(TableMemory, MovedItKeepsItsPlaceAndIsFreedOnce) {
  TableMemory first{100};
  std::byte* const place = first.bytes().data();
  place[99] = std::byte{7};
  TableMemory second{std::move(first)};
  EXPECT_EQ(second.bytes().data(), place);
  TableMemory third{100};
  third = std::move(second);
  EXPECT_EQ(third.bytes().data(), place);
  EXPECT_EQ(third.bytes()[99], std::byte{7});
}

}  // namespace
}  // namespace sluice
