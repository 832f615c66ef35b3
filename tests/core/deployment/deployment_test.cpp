#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/deployment/support.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using namespace std::chrono_literals;

Deployment good(const std::string& file) {
  auto result = parse(read_all(golden("good/" + file)), file);
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    std::abort();
  }
  return std::move(*result);
}

const ServiceSpec& service(const Deployment& deployment, std::string_view name) {
  for (const ServiceSpec& spec : deployment.services) {
    if (spec.service.name == name) return spec;
  }
  ADD_FAILURE() << "no service " << name;
  return deployment.services.front();
}

std::string minimal(const std::string& chain, const std::string& rest = "") {
  return "name: t\nhosts: {h1: {cores: 8, clock: 1 GHz, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 "
         "Gbps}}}}\nchains: {c: {from: h1.p0, to: h1.p1, " +
         chain + "}}\n" + rest;
}

TEST(Deployment, TakesTheExampleOfTheDesign) {
  const Deployment deployment = good("autoscale.yaml");
  EXPECT_EQ(deployment.name, "autoscale");
  ASSERT_EQ(deployment.hosts.size(), 1u);
  EXPECT_EQ(deployment.hosts[0].clock.hz, 2'600'000'000u);
  EXPECT_EQ(deployment.hosts[0].ports[1].rate.bps, 10'000'000'000u);
  const ServiceSpec& ids = service(deployment, "ids");
  EXPECT_EQ(ids.cost, (Cost{27'000, 36'000, 0}));
  EXPECT_EQ(ids.scaling.instance_count_max, 4u);
  EXPECT_TRUE(ids.scaling.enabled);
  EXPECT_EQ(service(deployment, "firewall").service.affinity, Affinity::kSession);
  const ChainSpec& web = deployment.chains[0];
  EXPECT_EQ(web.match.protocol, 6);
  EXPECT_EQ(web.match.ingress, PortId{0});
  ASSERT_EQ(web.version.steps.size(), 2u);
  EXPECT_THAT(web.version.steps[1].branches,
              ElementsAre(Branch{ids.service.label_bits[0], Hop{Hop::Kind::kDrop, 0}}));
  EXPECT_EQ(deployment.run.duration, 60s);
  EXPECT_EQ(deployment.traffic[0].rate[1], (RatePoint{15s, Rate{800'000'000}}));
  EXPECT_EQ(std::get<KillInstance>(deployment.faults[0].what), (KillInstance{ids.service.id, 1}));
}

TEST(Deployment, ReverseChainTurnsStepsAndMatch) {
  const Deployment deployment = good("autoscale.yaml");
  const ChainSpec& web = deployment.chains[0];
  const ChainSpec& back = deployment.chains[1];
  EXPECT_TRUE(back.version.is_reverse);
  EXPECT_EQ(back.version.reverse, web.version.chain);
  EXPECT_EQ(web.version.reverse, back.version.chain);
  ASSERT_EQ(back.version.steps.size(), 2u);
  EXPECT_EQ(back.version.steps[0].service, web.version.steps[1].service);
  EXPECT_EQ(back.version.steps[0].next, (Hop{Hop::Kind::kStep, 1}));
  EXPECT_EQ(back.version.steps[1].next, Hop{});
  EXPECT_EQ(back.match.source_port, (PortRange{80, 80}));
  EXPECT_FALSE(back.match.destination_port);
  EXPECT_EQ(back.match.ingress, PortId{1});
}

TEST(Deployment, ChangeOfAChainChangesItsReverseToo) {
  const Deployment deployment = good("autoscale.yaml");
  ASSERT_EQ(deployment.changes.size(), 1u);
  const auto& versions = deployment.changes[0].versions;
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].version, 2u);
  EXPECT_EQ(versions[0].index, 2u);
  EXPECT_EQ(versions[1].index, 3u);
  EXPECT_EQ(versions[1].chain, ChainId{1});
  EXPECT_EQ(versions[0].steps[2].service, versions[1].steps[0].service);
}

TEST(Deployment, ChangesCountVersionsInTheOrderOfTime) {
  const std::string text = minimal(
      "steps: [forward]",
      "changes: [{at: 5 s, chain: c, steps: [monitor]}, {at: 2 s, chain: c, steps: [delay]}]\n");
  const auto result = parse(text);
  ASSERT_TRUE(result) << result.error().to_string();
  ASSERT_EQ(result->changes.size(), 2u);
  EXPECT_EQ(result->changes[0].at, Instant{2s});
  EXPECT_EQ(result->changes[0].versions[0].version, 2u);
  EXPECT_EQ(result->changes[1].versions[0].version, 3u);
}

TEST(Deployment, FunctionNamedByAStepIsAServiceWithDefaults) {
  const Deployment deployment = good("autoscale.yaml");
  const ServiceSpec& monitor = service(deployment, "monitor");
  EXPECT_TRUE(monitor.implicit);
  EXPECT_EQ(monitor.service.id, ServiceId{2});
  EXPECT_EQ(monitor.instance_count_start, 1u);
  EXPECT_THAT(monitor.hosts, ElementsAre(HostId{0}));
}

TEST(Deployment, LabelsHaveBitsOfTheirOwn) {
  const Deployment deployment = good("everything.yaml");
  const Service& watch = service(deployment, "watch").service;
  ASSERT_EQ(watch.label_bits.size(), 2u);
  EXPECT_EQ(watch.label_bits[0] & watch.label_bits[1], 0u);
  EXPECT_EQ(watch.sticky_bits, watch.label_bits[1]);
}

TEST(Deployment, WeightsAreThoseOfPlacesAndTheLastGoesOn) {
  const Deployment deployment = good("everything.yaml");
  const Service& firewall = service(deployment, "firewall").service;
  EXPECT_THAT(firewall.weights, ElementsAre(2u, 1u));
  EXPECT_EQ(firewall.weight_at(0), 2u);
  EXPECT_EQ(firewall.weight_at(1), 1u);
  EXPECT_EQ(firewall.weight_at(255), 1u);
  EXPECT_EQ(service(deployment, "watch").service.weight_at(0), 1u);
}

TEST(Deployment, BranchTakesTheLabelOfTheServiceBeforeIt) {
  const auto result = parse(
      minimal("steps: [a, {b: {on: {odd: out, x: drop}}}]",
              "services: {b: {function: monitor, labels: [x]}, a: {function: monitor, labels: [x, "
              "odd]}}\n"));
  ASSERT_TRUE(result) << result.error().to_string();
  const Service& a = service(*result, "a").service;
  const Service& b = service(*result, "b").service;
  const Step& step = result->chains[0].version.steps[1];
  EXPECT_EQ(step.branches[0].label_bits, a.label_bits[1]);
  EXPECT_EQ(step.branches[1].label_bits, b.label_bits[0]) << "its own label comes first";
}

TEST(Deployment, BranchesLeadToNamedSteps) {
  const Deployment deployment = good("everything.yaml");
  const auto& steps = deployment.chains[2].version.steps;
  EXPECT_EQ(steps[0].branches[0].hop, (Hop{Hop::Kind::kStep, 2}));
  EXPECT_EQ(steps[0].next, (Hop{Hop::Kind::kStep, 1}));
  EXPECT_TRUE(deployment.chains[0].version.steps[2].copy);
}

TEST(Deployment, ServiceScalingGoesOverTheGlobalOne) {
  const Deployment deployment = good("everything.yaml");
  const ScalePolicy& policy = service(deployment, "watch").scaling;
  EXPECT_EQ(policy.up_occupancy, Ppm{800'000});
  EXPECT_EQ(policy.step, 2u);
  EXPECT_TRUE(policy.drain_cut);
  const auto result = parse(
      minimal("steps: [a]",
              "services: {a: {function: forward, scaling: {cooldown: 9 s}}}\nscaling: {up: {for: "
              "70 ms}, cooldown: 3 s}\n"));
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->services[0].scaling.up_for, 70ms);
  EXPECT_EQ(result->services[0].scaling.cooldown, 9s);
}

TEST(Deployment, FixedAndInlineServicesDoNotScale) {
  const Deployment deployment = good("everything.yaml");
  EXPECT_FALSE(service(deployment, "fixed").scaling.enabled);
  EXPECT_EQ(service(deployment, "fixed").instance_count_start, 2u);
  EXPECT_FALSE(service(deployment, "fused").scaling.enabled);
}

TEST(Deployment, ProvisionedChainStartsEnoughInstances) {
  // 1 Gbps of 500 B frames: 250,000 packets/s of 10,000 cycles at 1 GHz keep 2.5 cores busy.
  const auto result = parse(
      minimal("steps: [a], scaling: provisioned, rate: 1 Gbps, frame_size: 500 B",
              "services: {a: {function: forward, cost: 10000 cycles, instances: {max: 4}}}\n"));
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(result->services[0].instance_count_start, 3u);
  EXPECT_FALSE(result->services[0].scaling.enabled);
}

TEST(Deployment, NeighbourDiscoveryFollowsTheChain) {
  const auto result = parse(minimal("steps: [forward]"));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->hosts[0].ports[0].neighbours_to, PortId{1});
  EXPECT_EQ(result->hosts[0].ports[1].neighbours_to, PortId{0});
  EXPECT_FALSE(result->hosts[0].ports[0].pass_to);
  const Deployment everything = good("everything.yaml");
  EXPECT_FALSE(everything.hosts[0].ports[0].neighbours_to) << "the file says drop";
}

TEST(Deployment, FlashCrowdBecomesPointsOfTheRate) {
  const Deployment deployment = good("everything.yaml");
  EXPECT_THAT(deployment.traffic[2].rate,
              ElementsAre(RatePoint{2s, Rate{1'000'000'000}}, RatePoint{3s, Rate{5'000'000'000}},
                          RatePoint{5s, Rate{5'000'000'000}}, RatePoint{6s, Rate{1'000'000'000}}));
}

TEST(Deployment, TcpArrivalsKeepThousandths) {
  const Deployment deployment = good("everything.yaml");
  const auto& tcp = std::get<TcpTraffic>(deployment.traffic[4].kind);
  EXPECT_THAT(tcp.arrivals, ElementsAre(ArrivalPoint{0s, 10'000}, ArrivalPoint{5s, 50'500}));
  EXPECT_THAT(tcp.transfer_sizes.points,
              ElementsAre(SizePoint{64, Ppm{500'000}}, SizePoint{1500, kPpmOne}));
}

TEST(Deployment, FaultsComeInTheOrderOfTime) {
  const Deployment deployment = good("everything.yaml");
  for (std::size_t i = 1; i < deployment.faults.size(); ++i) {
    EXPECT_LE(deployment.faults[i - 1].at, deployment.faults[i].at);
  }
  EXPECT_EQ(std::get<DisturbLink>(deployment.faults[4].what).loss, Ppm{10'000});
}

TEST(Deployment, AcceptsTheLongestChainOnly) {
  const auto chain_of = [](std::size_t count) {
    std::string steps = "forward";
    for (std::size_t i = 1; i < count; ++i) steps += ", forward";
    return message_of(minimal("steps: [" + steps + "]"));
  };
  EXPECT_EQ(chain_of(kStepCountMax), "good");
  EXPECT_THAT(chain_of(kStepCountMax + 1), HasSubstr("too many steps"));
}

TEST(Deployment, OpenTailOfCostIsRoundedUp) {
  const Cost cost{.packet_cycles = 100, .byte_millicycles = 500, .batch_cycles = 20};
  EXPECT_EQ(cost.cycles_for(2, 3), 20u + 200u + 2u);
  EXPECT_EQ(cost.cycles_for(0, 0), 0u);
}

class GoodFile : public testing::TestWithParam<std::string> {};

TEST_P(GoodFile, ResolvedMeansTheSame) {
  const std::string once = resolved_json(good(GetParam()));
  const auto again = parse(once, "resolved.json");
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(resolved_json(*again), once);
}

INSTANTIATE_TEST_SUITE_P(Golden, GoodFile, testing::Values("autoscale.yaml", "everything.yaml"),
                         [](const auto& test) {
                           return test.param.substr(0, test.param.find('.'));
                         });

TEST(Deployment, ResolvedShowsDefaults) {
  const auto result = parse(minimal("steps: [forward]"));
  ASSERT_TRUE(result);
  const std::string json = resolved_json(*result);
  EXPECT_THAT(json, HasSubstr("\"cooldown\": \"1 s\""));
  EXPECT_THAT(json, HasSubstr("\"drops\": \"0.001\""));
}

TEST(Deployment, RoundsTheSharesOfASizeFileToThePpm) {
  // As published: web search flow sizes have eight decimals.
  const std::string text =
      "name: t\n"
      "hosts: {h1: {cores: 4, clock: 2 GHz, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}}\n"
      "services: {m: {function: monitor}}\n"
      "chains: {c: {from: h1.p0, to: h1.p1, steps: [m]}}\n"
      "traffic: [{into: h1.p0, kind: poisson, rate: 1 Mbps, flow_sizes: sizes.csv}]\n"
      "run: {duration: 1 s}\n";
  const auto with = [&](const std::string& sizes) {
    return parse_deployment(
        text, "test.yaml", built_in_functions(),
        [&](const std::string&) -> Result<std::string, std::string> { return sizes; });
  };
  const auto deployment = with("4000,0\n5971,0.07704918\n8722,0.15245950\n9000,1\n");
  ASSERT_TRUE(deployment.has_value()) << deployment.error().to_string();
  const auto& traffic = std::get<SyntheticTraffic>(deployment->traffic[0].kind);
  ASSERT_TRUE(traffic.flow_sizes.has_value());
  EXPECT_THAT(traffic.flow_sizes->points,
              testing::ElementsAre(SizePoint{4000, Ppm{0}}, SizePoint{5971, Ppm{77'049}},
                                   SizePoint{8722, Ppm{152'460}}, SizePoint{9000, kPpmOne}));
  for (const char* bad : {"100,0.1234567x\n200,1\n", "100,.\n200,1\n", "100,\n200,1\n"}) {
    EXPECT_FALSE(with(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace sluice
