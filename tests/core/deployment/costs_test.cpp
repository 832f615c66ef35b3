#include "core/deployment/costs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "tests/core/deployment/support.hpp"

namespace sluice {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kText =
    "machine: \"an \\\"EPYC\\\"\"\n"
    "clock: 2596000000 Hz\n"
    "worker_cost: 60 cycles + 0.25 cycles/B + 120 cycles/batch\n"
    "functions:\n"
    "  forward: 4 cycles + 90 cycles/batch\n"
    "  monitor: 70 cycles\n"
    "services:\n"
    "  slow: 3000 cycles\n";

constexpr std::string_view kDeployment =
    "name: t\n"
    "hosts:\n"
    "  h1: {cores: 9, clock: 1 GHz, worker_cost: 7 cycles, ports: {p0: {rate: 1 Gbps}}}\n"
    "services:\n"
    "  one: {function: forward, cost: 11 cycles}\n"
    "  slow: {function: forward, cost: 12 cycles}\n"
    "  own: {function: busy, cost: 13 cycles}\n"
    "chains: {c: {from: h1.p0, to: h1.p0, steps: [one, slow, own, monitor]}}\n";

Costs good(std::string_view text) {
  auto costs = parse_costs(text, "costs.yaml");
  EXPECT_TRUE(costs) << costs.error().to_string();
  return costs ? std::move(*costs) : Costs{};
}

Deployment with(const Costs* costs, std::string_view text = kDeployment) {
  const auto tree = parse_yaml(text, "test.yaml");
  EXPECT_TRUE(tree);
  auto deployment = check_deployment(*tree, built_in_functions(), reader_in(golden("good")), costs);
  EXPECT_TRUE(deployment) << deployment.error().to_string();
  return deployment ? std::move(*deployment) : Deployment{};
}

// --- Bad files -----------------------------------------------------------------------------------

std::vector<fs::path> bad_costs() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(golden("bad_costs"))) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

class BadCosts : public testing::TestWithParam<fs::path> {};

// With SLUICE_REGEN=1 in the environment it writes the messages; the diff is reviewed like code.
TEST_P(BadCosts, GivesExactlyItsMessage) {
  const fs::path& path = GetParam();
  fs::path expected_path = path;
  expected_path.replace_extension(".expected");
  const auto result = parse_costs(read_all(path), path.filename());
  ASSERT_FALSE(result) << "the file is good";
  const std::string message = result.error().to_string() + "\n";
  if (std::getenv("SLUICE_REGEN") != nullptr) std::ofstream(expected_path) << message;
  EXPECT_EQ(message, read_all(expected_path));
}

INSTANTIATE_TEST_SUITE_P(Golden, BadCosts, testing::ValuesIn(bad_costs()),
                         [](const auto& test) { return test.param.stem().string(); });

// --- Good files ----------------------------------------------------------------------------------

TEST(Costs, SaysWhatTheFileSays) {
  const Costs costs = good(kText);
  EXPECT_EQ(costs.machine, "an \"EPYC\"");
  ASSERT_TRUE(costs.clock && costs.worker);
  EXPECT_EQ(costs.clock->hz, 2'596'000'000u);
  EXPECT_EQ(*costs.worker, (Cost{60, 250, 120}));
  EXPECT_EQ(costs.functions.size(), 2u);
  EXPECT_EQ(costs.functions.at("forward"), (Cost{4, 0, 90}));
  EXPECT_EQ(costs.services.at("slow"), (Cost{3000, 0, 0}));
}

TEST(Costs, AreWrittenAsTheyAreRead) {
  EXPECT_EQ(costs_text(good(kText)), kText);
  EXPECT_EQ(costs_text(Costs{}), "");
}

TEST(Costs, OfAServiceComeBeforeThoseOfItsFunction) {
  const Costs costs = good(kText);
  ASSERT_NE(costs.find("slow", "forward"), nullptr);
  EXPECT_EQ(costs.find("slow", "forward")->packet_cycles, 3000u);
  EXPECT_EQ(costs.find("one", "forward")->packet_cycles, 4u);
  EXPECT_EQ(costs.find("own", "busy"), nullptr);
}

TEST(Costs, CountInsteadOfTheDeploymentsOwn) {
  const Costs costs = good(kText);
  const Deployment measured = with(&costs);
  EXPECT_EQ(measured.hosts[0].clock.hz, 2'596'000'000u);
  EXPECT_EQ(measured.hosts[0].worker_cost, (Cost{60, 250, 120}));
  ASSERT_EQ(measured.services.size(), 4u);
  EXPECT_EQ(measured.services[0].cost, (Cost{4, 0, 90}));
  EXPECT_EQ(measured.services[1].cost, (Cost{3000, 0, 0}));
  EXPECT_EQ(measured.services[2].cost, (Cost{13, 0, 0})) << "busy was not measured";
  EXPECT_EQ(measured.services[3].cost, (Cost{70, 0, 0})) << "of a service that nobody declared";

  const Deployment own = with(nullptr);
  EXPECT_EQ(own.hosts[0].clock.hz, 1'000'000'000u);
  EXPECT_EQ(own.hosts[0].worker_cost, (Cost{7, 0, 0}));
  EXPECT_EQ(own.services[0].cost, (Cost{11, 0, 0}));
}

TEST(Costs, DecideHowManyInstancesAProvisionedChainHas) {
  constexpr std::string_view kProvisioned =
      "name: t\n"
      "hosts: {h1: {cores: 9, clock: 1 GHz, ports: {p0: {rate: 10 Gbps}}}}\n"
      "services: {slow: {function: forward, cost: 100 cycles, instances: {max: 8}}}\n"
      "chains:\n"
      "  c: {from: h1.p0, to: h1.p0, steps: [slow], scaling: provisioned, rate: 4.096 Gbps,\n"
      "      frame_size: 512 B}\n";
  EXPECT_EQ(with(nullptr, kProvisioned).services[0].instance_count_start, 1u);
  const Costs costs = good("services: {slow: 3000 cycles}");
  EXPECT_EQ(with(&costs, kProvisioned).services[0].instance_count_start, 3u);
}

TEST(Costs, OfOthersAreIgnoredByName) {
  Costs costs = good(kText);
  const Deployment deployment = with(&costs);
  EXPECT_THAT(entries_ignored(costs, deployment, built_in_functions()), IsEmpty());
  costs.functions["fuzz"] = Cost{};
  costs.services["other"] = Cost{};
  EXPECT_THAT(entries_ignored(costs, deployment, built_in_functions()),
              ElementsAre("functions.fuzz", "services.other"));
}

}  // namespace
}  // namespace sluice
