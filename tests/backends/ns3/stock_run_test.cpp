#include "tests/backends/ns3/fixture.hpp"
#include "tests/bench/bench_sim_stock.hpp"

namespace sluice {
namespace {

// The benchmark's peer must do all of its work, or the comparison says nothing.
TEST(StockRun, DeliversEveryPacketForThreeEventsEach) {
  for (const char* scheduler : {"ns3::PriorityQueueScheduler", "ns3::MapScheduler"}) {
    const bench::StockRun run =
        bench::run_stock_udp({.packet_count = 2000, .scheduler = scheduler});
    EXPECT_EQ(run.sent, 2000u);
    EXPECT_EQ(run.received, 2000u);
    EXPECT_GE(run.events, 3u * 2000u);
    EXPECT_LT(run.events, 3u * 2000u + 50u);
    EXPECT_GT(run.packets_per_second(), 0);
  }
}

}  // namespace
}  // namespace sluice
