#include <gtest/gtest.h>

#include <bit>
#include <memory>
#include <vector>

#include "core/function/function_runtime.hpp"

namespace sluice {
namespace {

using std::chrono::microseconds;

/// Passes everything on, takes what it is told to take, and says that each packet kept it busy.
class Picky final : public NetworkFunction {
 public:
  void process(PacketBatch& batch, Context& context) noexcept override {
    for (Packet& packet : batch) {
      packet.next();
      context.add_busy(microseconds{3});
    }
  }
  void tick(Context& context) noexcept override { context.add_busy(microseconds{100}); }
  [[nodiscard]] std::uint32_t room() const noexcept override { return wanted; }

  std::uint32_t wanted = 0;
};

class RingRuntimeTest : public testing::Test {
 protected:
  static constexpr std::uint32_t kRing = 64;

  RingRuntimeTest()
      : bytes_(std::size_t{kRing} * 2048),
        receive_(kRing),
        give_back_(std::bit_ceil(outstanding_max(kRing))),
        messages_(16) {
    auto function = std::make_unique<Picky>();
    function_ = function.get();
    FunctionRuntime::Options options;
    options.memory = PacketMemory{bytes_, 2048};
    runtime_ = std::make_unique<RingRuntime>(
        std::move(function), options,
        RingRuntime::Wiring{receive_.ring(), give_back_.ring(), messages_.ring(), &page_});
  }
  void put(std::uint32_t count) {
    const std::vector<Packet> packets(count);
    ASSERT_EQ(receive_.ring().enqueue(packets), count);
  }

  std::vector<std::byte> bytes_;
  OwnedSpscRing<Packet> receive_, give_back_;
  OwnedSpscRing<Message> messages_;
  ControlPage page_;
  Picky* function_ = nullptr;
  std::unique_ptr<RingRuntime> runtime_;
};

TEST_F(RingRuntimeTest, WhatTheFunctionHasNoRoomForStaysInTheRing) {
  put(20);
  EXPECT_EQ(runtime_->take(Instant{}).size(), 0u);
  EXPECT_EQ(receive_.ring().size(), 20u);
  function_->wanted = 7;
  EXPECT_EQ(runtime_->take(Instant{}).size(), 7u);
  runtime_->finish(Instant{}, Duration::zero());
  EXPECT_EQ(receive_.ring().size(), 13u);
  EXPECT_EQ(give_back_.ring().size(), 7u);
  EXPECT_EQ(runtime_->take(Instant{}, 5).size(), 5u) << "the caller's limit holds as well";
  runtime_->finish(Instant{}, Duration::zero());
  function_->wanted = 1000;
  EXPECT_EQ(runtime_->take(Instant{}).size(), 8u);
  runtime_->finish(Instant{}, Duration::zero());
}

TEST_F(RingRuntimeTest, WhatTheFunctionCountsAsBusyIsOnTheControlPage) {
  function_->wanted = 10;
  put(10);
  ASSERT_EQ(runtime_->take(Instant{}).size(), 10u);
  runtime_->finish(Instant{}, microseconds{5});
  EXPECT_EQ(page_.busy_ns.load(), 35'000u);
  runtime_->tick(Instant{});
  EXPECT_EQ(page_.busy_ns.load(), 135'000u);
  EXPECT_EQ(page_.packet_count.load(), 10u);
}

}  // namespace
}  // namespace sluice
