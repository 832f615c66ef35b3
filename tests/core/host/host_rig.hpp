#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/frames.hpp"
#include "tests/support/loopback_host.hpp"

namespace sluice::test {

/// A function that does what the test says, packet by packet.
class Scripted final : public NetworkFunction {
 public:
  using Script = std::function<void(Packet&, std::span<std::byte>, Context&)>;
  explicit Scripted(Script script) : script_(std::move(script)) {}
  void process(PacketBatch& batch, Context& context) noexcept override {
    for (Packet& packet : batch) script_(packet, batch.bytes(packet), context);
  }

 private:
  Script script_;
};

inline void go_on(Packet& packet, std::span<std::byte>, Context&) {
  packet.next();
}

/// Builds a host of scripted services in a few words.
class RigBuilder {
 public:
  RigBuilder() {
    options.agent.core_count = 16;
    options.agent.chain_count_max = 16;
    options.agent.ports.resize(2);
    options.agent.ports[0].neighbours_to = PortId{1};
    options.agent.ports[1].neighbours_to = PortId{0};
  }

  ServiceId service(const std::string& name, Scripted::Script script = go_on,
                    std::uint32_t instances = 1) {
    const ServiceId id{static_cast<std::uint16_t>(options.agent.services.size())};
    Agent::ServiceSettings settings;
    settings.service.id = id;
    settings.service.name = name;
    settings.service.ring_capacity = 64;
    settings.instance_count_start = instances;
    settings.policy.instance_count_max = 8;
    options.agent.services.push_back(settings);
    scripts.push_back(std::move(script));
    return id;
  }
  Service& edit(ServiceId id) { return options.agent.services[index_of(id)].service; }

  /// A chain p0 -> p1 over the services in order.
  ChainVersion& chain(const std::string& name, const std::vector<ServiceId>& services) {
    ChainVersion chain;
    chain.chain = ChainId{static_cast<std::uint16_t>(options.agent.chains.size())};
    chain.name = name;
    chain.from = PortId{0};
    chain.to = PortId{1};
    chain.steps = steps_of(services);
    options.agent.chains.push_back(chain);
    return options.agent.chains.back();
  }
  static std::vector<Step> steps_of(const std::vector<ServiceId>& services) {
    std::vector<Step> steps;
    for (std::size_t i = 0; i < services.size(); ++i) {
      Step step;
      step.service = services[i];
      if (i + 1 < services.size()) {
        step.next = {Hop::Kind::kStep, static_cast<std::uint8_t>(i + 1)};
      }
      steps.push_back(step);
    }
    return steps;
  }
  void rule(const FlowMatch& match, ChainId chain) { rules.push_back({match, chain}); }

  std::unique_ptr<LoopbackHost> build() {
    if (rules.empty()) {
      FlowMatch match;
      match.ingress = PortId{0};
      rules.push_back({match, ChainId{0}});
    }
    options.agent.classifier = std::make_shared<const Classifier>(rules);
    options.make_function = [make = make_function, scripts = scripts](
                                ServiceId service,
                                std::uint32_t) -> std::unique_ptr<NetworkFunction> {
      if (make) return make(service);
      return std::make_unique<Scripted>(scripts[index_of(service)]);
    };
    return std::make_unique<LoopbackHost>(std::move(options));
  }

  LoopbackHost::Options options;
  /// Instead of the scripts.
  std::function<std::unique_ptr<NetworkFunction>(ServiceId)> make_function;
  std::vector<Scripted::Script> scripts;
  std::vector<Classifier::Rule> rules;
};

}  // namespace sluice::test
