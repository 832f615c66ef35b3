#include "core/deployment/host_change.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "core/deployment/host_options.hpp"
#include "tests/core/deployment/support.hpp"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr std::string_view kHost =
    "{cores: 8, clock: 2 GHz, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}";
constexpr std::string_view kServices =
    "{fw: {function: firewall, rules: [{allow: {proto: tcp}}]}, count: {function: monitor}}";
constexpr std::string_view kChains =
    "{web: {from: h1.p0, to: h1.p1, steps: [fw, count]},"
    " web-back: {from: h1.p1, to: h1.p0, reverse_of: web}}";

std::string text_of_file(std::string_view host = kHost, std::string_view services = kServices,
                         std::string_view chains = kChains) {
  return "name: t\nhosts:\n  h1: " + std::string(host) + "\nservices: " + std::string(services) +
         "\nchains: " + std::string(chains) + "\n";
}

Deployment file(const std::string& text) {
  auto result = parse(text, "new.yaml");
  EXPECT_TRUE(result) << result.error().to_string();
  return result ? std::move(*result) : Deployment{};
}

/// Of services, by name.
std::map<std::string, std::string> fingerprints(const Deployment& deployment) {
  std::map<std::string, std::string> result;
  for (const ServiceSpec& spec : deployment.services) {
    result[spec.service.name] = spec.fingerprint;
  }
  return result;
}

std::string fingerprint_of(const std::string& service) {
  return fingerprints(
             file(text_of_file(kHost, "{fw: " + service + ", count: {function: monitor}}")))
      .at("fw");
}

// --- Fingerprints --------------------------------------------------------------------------------

TEST(Fingerprint, IsThatOfWhatTheInstancesAreMadeFrom) {
  const std::string base = fingerprint_of("{function: rate_limiter, rate: 1 Gbps, burst: 10 kB}");
  EXPECT_EQ(base.size(), 16u);
  // The order of keys, and keys that all services share, make no other instances.
  EXPECT_EQ(fingerprint_of("{burst: 10 kB,\n  rate: 1 Gbps, function: rate_limiter}"), base);
  EXPECT_EQ(fingerprint_of("{function: rate_limiter, rate: 1 Gbps, burst: 10 kB, choose: maglev,"
                           " weights: [2, 1], cost: 7 cycles}"),
            base);
  EXPECT_NE(fingerprint_of("{function: rate_limiter, rate: 2 Gbps, burst: 10 kB}"), base);
  EXPECT_NE(fingerprint_of("{function: rate_limiter, rate: 1 Gbps}"), base);
}

TEST(Fingerprint, TellsListsApart) {
  const auto ids = [](const std::string& patterns) {
    return fingerprint_of("{function: ids, pattern: " + patterns + "}");
  };
  EXPECT_NE(ids("[ab, c]"), ids("[a, bc]"));
  EXPECT_NE(ids("[ab, c]"), ids("[c, ab]"));
  EXPECT_EQ(ids("[ab, c]"), ids("[\"ab\", 'c']"));
}

TEST(Fingerprint, ChangesWithTheFilesThatSettingsName) {
  const std::string text =
      text_of_file(kHost, "{fw: {function: ids, patterns: list.txt}, count: {function: monitor}}");
  const auto with = [&](const std::string& content) {
    const auto result = parse_deployment(
        text, "new.yaml", built_in_functions(),
        [&](const std::string&) -> Result<std::string, std::string> { return content; });
    EXPECT_TRUE(result) << result.error().to_string();
    return fingerprints(*result).at("fw");
  };
  EXPECT_EQ(with("evil\n"), with("evil\n"));
  EXPECT_NE(with("evil\n"), with("evil\nbad\n"));
}

TEST(Fingerprint, AServiceThatAStepNamesHasOneToo) {
  const Deployment deployment =
      file(text_of_file(kHost, kServices, "{c: {from: h1.p0, to: h1.p1, steps: [forward]}}"));
  EXPECT_EQ(fingerprints(deployment).at("forward").size(), 16u);
}

// --- From one file to the next -------------------------------------------------------------------

Reconfigure change(const std::string& to) {
  auto event = reconfiguration(file(text_of_file()), HostId{0}, file(to));
  EXPECT_TRUE(event) << event.error().to_string();
  return event ? std::move(*event) : Reconfigure{};
}

std::string refusal(const std::string& to, const std::string& from = text_of_file()) {
  const auto event = reconfiguration(file(from), HostId{0}, file(to));
  return event ? "no refusal" : event.error().to_string();
}

TEST(HostChange, CarriesAllThatTheFileSaysOfTheHost) {
  const Reconfigure event = change(
      text_of_file("{cores: 10, clock: 2 GHz, ports: {p0: {rate: 1 Gbps, unmatched: {pass: p1}},"
                   " p1: {rate: 1 Gbps}}}",
                   "{fw: {function: firewall, rules: [{allow: {proto: udp}}]},"
                   " count: {function: monitor, instances: {min: 2, max: 3}}}"));
  EXPECT_EQ(event.file, "new.yaml");
  EXPECT_EQ(event.host, "h1");
  EXPECT_EQ(event.core_count, 10u);
  ASSERT_EQ(event.services.size(), 2u);
  EXPECT_EQ(event.services[1].instance_count_start, 2u);
  EXPECT_EQ(event.services[1].policy.instance_count_max, 3u);
  EXPECT_EQ(event.services[0].fingerprint.size(), 16u);
  ASSERT_EQ(event.chains.size(), 2u);
  EXPECT_EQ(event.chains[0].reverse, ChainId{1});
  ASSERT_EQ(event.rules.size(), 1u);  // Replies need none.
  EXPECT_EQ(event.ports[0].unmatched, UnmatchedPolicy::kPass);
  EXPECT_EQ(event.ports[0].pass_to, PortId{1});
}

TEST(HostChange, TheHostIsFoundByItsName) {
  const std::string two =
      "name: t\nhosts:\n  h0: {cores: 2, clock: 1 GHz, ports: {p0: {rate: 1 Gbps}}}\n  h1: " +
      std::string(kHost) +
      "\nchains: {other: {from: h0.p0, to: h0.p0, steps: [forward]},"
      " web: {from: h1.p0, to: h1.p1, steps: [monitor]}}\n";
  const Reconfigure event = change(two);
  EXPECT_EQ(event.ports.size(), 2u);
  ASSERT_EQ(event.rules.size(), 1u);
  EXPECT_EQ(event.chains[index_of(event.rules[0].chain)].name, "web");
  EXPECT_EQ(event.services[0].instance_count_start, 0u);  // The other host's.
  EXPECT_EQ(event.services[1].instance_count_start, 1u);
  EXPECT_EQ(refusal("name: t\nhosts: {h2: {cores: 2, clock: 1 GHz, ports: {p0: {rate: 1 Gbps}}}}\n"
                    "chains: {c: {from: h2.p0, to: h2.p0, steps: [forward]}}\n"),
            "new.yaml: hosts.h1: the host that runs is missing; got h2; expected h1");
}

TEST(HostChange, WhatTheHostIsMadeOfTakesARestart) {
  const auto with = [](const std::string& keys) {
    return refusal(text_of_file("{cores: 8, clock: 2 GHz, " + keys +
                                "ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}"));
  };
  EXPECT_EQ(with("workers: 2, "),
            "new.yaml:3:3: hosts.h1.workers: cannot change while the host runs; got 2; expected "
            "1, or a restart of the host");
  EXPECT_EQ(with("buffers: 4096, "),
            "new.yaml:3:3: hosts.h1.buffers: cannot change while the host runs; got 4096; "
            "expected 8192, or a restart of the host");
  EXPECT_EQ(with("buffer_size: 4 KiB, "),
            "new.yaml:3:3: hosts.h1.buffer_size: cannot change while the host runs; got 4096 B; "
            "expected 2048 B, or a restart of the host");
  EXPECT_EQ(with("flows: 1024, "),
            "new.yaml:3:3: hosts.h1.flows: cannot change while the host runs; got 1024; expected "
            "65536, or a restart of the host");
  EXPECT_EQ(with("flow_idle: 1 s, "),
            "new.yaml:3:3: hosts.h1.flow_idle: cannot change while the host runs; got 1 s; "
            "expected 5 s, or a restart of the host");
  EXPECT_EQ(
      refusal(text_of_file("{cores: 8, clock: 2 GHz, ports: {p1: {rate: 1 Gbps}, p0: {rate: 1 "
                           "Gbps}}}")),
      "new.yaml:3:3: hosts.h1.ports: cannot change while the host runs; got p1, p0; expected "
      "p0, p1, or a restart of the host");
  EXPECT_EQ(with("worker_cost: 7 cycles, "), "no refusal");  // Of a simulation only.
}

// --- With an agent -------------------------------------------------------------------------------

/// Starts every instance at once. @return The notes, and which service number each start named.
struct Carried {
  std::vector<std::string> notes;
  std::vector<ServiceId> starts;
  std::optional<Renumbered> renumbered;
  std::optional<ReconfigureEnded> ended;
};

void carry_out(Agent& agent, const std::vector<AgentCommand>& commands, InstanceChannel& channel,
               Carried& carried) {
  for (const AgentCommand& command : commands) {
    if (const auto* note = std::get_if<Note>(&command)) {
      carried.notes.push_back(std::string(to_string(note->kind)) + (note->text.empty() ? "" : " ") +
                              note->text);
    } else if (const auto* start = std::get_if<StartInstance>(&command)) {
      carried.starts.push_back(start->service);
      const InstanceStarted started{start->instance, &channel, 0};
      carry_out(agent, agent.handle(started, Instant{}), channel, carried);
    } else if (const auto* numbers = std::get_if<Renumbered>(&command)) {
      carried.renumbered = *numbers;
    } else if (const auto* ended = std::get_if<ReconfigureEnded>(&command)) {
      carried.ended = *ended;
    }
  }
}

TEST(HostChange, ChangedRulesOfAFirewallAreAnotherFirewall) {
  const Deployment running = file(text_of_file());
  Agent agent(agent_options(running, HostId{0}, HostGrowth::kChangeable));
  InstanceChannel channel;
  Carried first;
  carry_out(agent, agent.start(Instant{}), channel, first);
  EXPECT_EQ(first.starts.size(), 2u);
  Carried second;
  const Reconfigure event = change(text_of_file(
      kHost,
      "{count: {function: monitor}, fw: {function: firewall, rules: [{allow: {proto: udp}}]}}"));
  carry_out(agent, agent.handle(event, Instant{}), channel, second);
  ASSERT_TRUE(second.ended);
  EXPECT_EQ(second.ended->outcome, ReconfigureEnded::Outcome::kDone) << second.ended->reason;
  ASSERT_TRUE(second.renumbered);
  EXPECT_THAT(second.renumbered->services, ElementsAre(ServiceId{1}, ServiceId{2}));
  EXPECT_THAT(second.renumbered->chains, ElementsAre(ChainId{0}, ChainId{1}));
  EXPECT_THAT(second.starts, ElementsAre(ServiceId{2}));
  EXPECT_THAT(second.notes, UnorderedElementsAre("service_added fw", "instance_started",
                                                 "chain_changed web", "chain_changed web-back",
                                                 "service_retiring fw", "instance_draining"));
  // What scales from now on.
  std::vector<ServiceId> scaled;
  for (const ScaledService& each : scaled_services(agent)) scaled.push_back(each.service);
  EXPECT_THAT(scaled, ElementsAre(ServiceId{1}, ServiceId{2}));
}

TEST(HostChange, AHostThatCannotGrowRefusesWhatNeedsMore) {
  const Deployment running = file(text_of_file());
  for (const HostGrowth growth : {HostGrowth::kFixed, HostGrowth::kChangeable}) {
    Agent agent(agent_options(running, HostId{0}, growth));
    InstanceChannel channel;
    Carried carried;
    carry_out(agent, agent.start(Instant{}), channel, carried);
    const Reconfigure event = change(text_of_file(
        kHost, kServices, "{web: {from: h1.p0, to: h1.p1, steps: [fw, count, count]}}"));
    carry_out(agent, agent.handle(event, Instant{}), channel, carried);
    ASSERT_TRUE(carried.ended);
    EXPECT_EQ(carried.ended->outcome, growth == HostGrowth::kFixed
                                          ? ReconfigureEnded::Outcome::kRefused
                                          : ReconfigureEnded::Outcome::kDone)
        << carried.ended->reason;
  }
}

TEST(HostOptions, AgentAndWorkerHaveTheSameRoom) {
  const Deployment deployment = file(text_of_file());
  for (const HostGrowth growth : {HostGrowth::kFixed, HostGrowth::kChangeable}) {
    const Agent::Options agent = agent_options(deployment, HostId{0}, growth);
    const Worker::Options worker = worker_options(deployment, HostId{0}, 0, growth);
    EXPECT_EQ(agent.service_count_max, worker.service_count_max);
    EXPECT_EQ(agent.chain_count_max, worker.chain_count_max);
    EXPECT_EQ(agent.chain_version_count_max, worker.chain_version_count_max);
    EXPECT_EQ(agent.instance_count_max, worker.instance_count_max);
    EXPECT_EQ(agent.step_count_max, worker.flows.pin_count_max);
    EXPECT_EQ(agent.remembers_addresses, worker.address_count_max != 1);
  }
}

}  // namespace
}  // namespace sluice
