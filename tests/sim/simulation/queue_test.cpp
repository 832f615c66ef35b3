#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/host/observer.hpp"
#include "sim/workload/workload.hpp"
#include "tests/sim/simulation/support.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using Nanoseconds = std::int64_t;

constexpr Nanoseconds kServiceTime = 10'000;

/// Poisson packets for one instance that takes 10 us for each, on links and workers that cost
/// nothing.
std::string one_server(double load, std::uint64_t seed, Duration duration) {
  constexpr double kFrameBits = 60 * 8;
  const double rate_bps = load * kFrameBits * 1e9 / static_cast<double>(kServiceTime);
  return "name: queue\n"
         "hosts: {h1: {cores: 2, clock: 1 GHz, worker_cost: 0 cycles, buffers: 16384,\n"
         "  ports: {p0: {rate: 1 Tbps, burst: 1}, p1: {rate: 1 Tbps, burst: 1}}}}\n"
         "services: {serve: {function: forward, cost: 10000 cycles, ring: 8192}}\n"
         "chains: {all: {from: h1.p0, to: h1.p1, steps: [serve]}}\n"
         "traffic: [{into: h1.p0, kind: poisson, size: 60 B, flows: 16, rate: " +
         std::to_string(static_cast<std::uint64_t>(rate_bps)) + " bps}]\n" +
         "run: {duration: " + std::to_string(duration / 1ms) +
         " ms, checkers: false, seed: " + std::to_string(seed) + "}\n";
}

/// When each packet came and how long it stayed, in the order of leaving.
class Stays final : public Observer {
 public:
  struct Stay {
    Nanoseconds arrival;
    Nanoseconds duration;
  };
  void sent(Instant now, PortId, std::span<const Packet> packets) override {
    for (const Packet& packet : packets) {
      const auto arrival = static_cast<Nanoseconds>(packet.arrival);
      stays_.push_back({arrival, now.time_since_epoch().count() - arrival});
    }
  }
  [[nodiscard]] const std::vector<Stay>& stays() const { return stays_; }

 private:
  std::vector<Stay> stays_;
};

Stays simulate_queue(const std::string& yaml, std::uint32_t batch_max) {
  Stays stays;
  sim::SimulationOptions options;
  options.observer = &stays;
  options.batch_max = batch_max;
  const sim::SimulationResult result = run(yaml, options);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(count_at(result, "dropped_packets"), 0u);
  return stays;
}

/// The departures of the same traffic, from its generator.
std::vector<Nanoseconds> generate(const std::string& yaml) {
  const Deployment deployment = deployment_of(yaml);
  auto generator = sim::make_generator(deployment.traffic[0], 1522, {}, deployment.run.seed, 0);
  std::vector<Nanoseconds> times;
  std::vector<std::byte> room(2048);
  while (const auto frame = (*generator)->next(room)) {
    if (frame->at >= Instant{deployment.run.duration}) break;
    times.push_back(frame->at.time_since_epoch().count());
  }
  return times;
}

/// How long packets stay at a server that takes up to `batch_max` of those that wait, works 10 us
/// for each, and gives the batch back as a whole. One that comes in the very nanosecond in which
/// the server starts on others is not among them.
std::vector<Nanoseconds> oracle(const std::vector<Nanoseconds>& arrivals, std::size_t batch_max) {
  std::vector<Nanoseconds> stays;
  Nanoseconds free_at = 0;
  while (stays.size() < arrivals.size()) {
    const std::size_t first = stays.size();
    const Nanoseconds start = std::max(free_at, arrivals[first]);
    std::size_t end = first + 1;
    while (end < arrivals.size() && end - first < batch_max && arrivals[end] < start) ++end;
    free_at = start + static_cast<Nanoseconds>(end - first) * kServiceTime;
    for (std::size_t i = first; i < end; ++i) stays.push_back(free_at - arrivals[i]);
  }
  return stays;
}

double mean_wait(const Stays& stays) {
  double sum = 0;
  for (const auto& each : stays.stays()) sum += static_cast<double>(each.duration - kServiceTime);
  return sum / static_cast<double>(stays.stays().size());
}

void expect_pollaczek_khinchine(double load, Duration duration) {
  constexpr std::uint64_t kSeeds[] = {1, 2, 3, 4};
  double sum = 0;
  for (const std::uint64_t seed : kSeeds) {
    sum += mean_wait(simulate_queue(one_server(load, seed, duration), 1));
  }
  const double measured = sum / std::size(kSeeds);
  const double expected = load * static_cast<double>(kServiceTime) / (2 * (1 - load));
  EXPECT_NEAR(measured / expected, 1.0, 0.02) << "mean wait in ns: " << measured;
}

void expect_as_oracle(double load, std::uint32_t batch_max) {
  const std::string yaml = one_server(load, 7, 2s);
  const Stays simulated = simulate_queue(yaml, batch_max);
  const std::vector<Nanoseconds> generated = generate(yaml);
  ASSERT_GT(generated.size(), 10'000u);
  // Each packet arrives 1 us later, and what the line takes for 84 bytes: below 1 ns, rounded up.
  ASSERT_EQ(simulated.stays().size(), generated.size());
  std::vector<Nanoseconds> arrivals;
  for (const auto& stay : simulated.stays()) arrivals.push_back(stay.arrival);
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(arrivals[i]), static_cast<double>(generated[i] + 1'000), 4.0)
        << "packet " << i;
  }
  const std::vector<Nanoseconds> expected = oracle(arrivals, batch_max);
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    ASSERT_EQ(simulated.stays()[i].duration, expected[i]) << "packet " << i;
  }
}

TEST(Queue, MeanWaitAtHalfLoadIsThatOfMD1) {
  expect_pollaczek_khinchine(0.5, 5s);
}

TEST(Queue, MeanWaitAtSeventyPercentIsThatOfMD1) {
  expect_pollaczek_khinchine(0.7, 7s);
}

TEST(Queue, MeanWaitAtNinetyPercentIsThatOfMD1) {
  expect_pollaczek_khinchine(0.9, 20s);
}

TEST(Queue, EachPacketWaitsAsTheOracleSaysOneByOne) {
  expect_as_oracle(0.9, 1);
}

TEST(Queue, EachPacketWaitsAsTheOracleSaysInBatchesOf32) {
  expect_as_oracle(0.9, 32);
}

TEST(Queue, EachPacketWaitsAsTheOracleSaysInOverload) {
  expect_as_oracle(1.02, 32);  // A queue that grows fills whole batches.
}

}  // namespace
}  // namespace sluice::test
