#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/core/host/host_rig.hpp"

namespace sluice::test {

/// A deployment as an Agent sees it, in a few words: services by name, chains p0 -> p1 over them,
/// told apart by the destination port of UDP.
class File {
 public:
  ServiceSettings& service(const std::string& name, const std::string& fingerprint = "1",
                           std::uint32_t instance_count = 1) {
    ServiceSettings settings;
    settings.service.id = ServiceId{static_cast<std::uint16_t>(services.size())};
    settings.service.name = name;
    settings.service.function = "scripted";
    settings.service.ring_capacity = 64;
    settings.instance_count_start = instance_count;
    settings.policy.instance_count_min = instance_count;
    settings.policy.instance_count_max = 8;
    settings.fingerprint = fingerprint;
    services.push_back(std::move(settings));
    return services.back();
  }
  /// Gives the last service a label with the next bit of the file.
  void label(const std::string& name, bool sticky = false) {
    Service& service = services.back().service;
    const std::uint32_t bit = 1u << label_count_++;
    service.labels.push_back(name);
    service.label_bits.push_back(bit);
    if (sticky) service.sticky_bits |= bit;
  }
  ChainVersion& chain(const std::string& name, const std::vector<std::string>& names,
                      std::uint16_t destination_port) {
    ChainVersion chain;
    chain.chain = ChainId{static_cast<std::uint16_t>(chains.size())};
    chain.name = name;
    chain.from = PortId{0};
    chain.to = PortId{1};
    std::vector<ServiceId> ids;
    for (const std::string& each : names) ids.push_back(id_of(each));
    chain.steps = RigBuilder::steps_of(ids);
    FlowMatch match;
    match.ingress = PortId{0};
    match.destination_port = PortRange{destination_port, destination_port};
    rules.push_back({match, chain.chain});
    chains.push_back(std::move(chain));
    return chains.back();
  }
  /// The opposite direction of the last chain, which takes replies only.
  void reverse() {
    ChainVersion reverse = chains.back();
    reverse.chain = ChainId{static_cast<std::uint16_t>(chains.size())};
    reverse.name += "-back";
    reverse.is_reverse = true;
    reverse.reverse = chains.back().chain;
    std::swap(reverse.from, reverse.to);
    std::vector<ServiceId> ids;
    for (const Step& step : reverse.steps) ids.insert(ids.begin(), step.service);
    reverse.steps = RigBuilder::steps_of(ids);
    chains.back().reverse = reverse.chain;
    chains.push_back(std::move(reverse));
  }

  [[nodiscard]] ServiceId id_of(const std::string& name) const {
    const auto found = std::find_if(services.begin(), services.end(),
                                    [&](const auto& each) { return each.service.name == name; });
    EXPECT_NE(found, services.end()) << name;
    return found->service.id;
  }
  [[nodiscard]] Reconfigure reconfigure() const {
    Reconfigure event;
    event.file = "new.yaml";
    event.host = "h1";
    event.core_count = core_count;
    event.services = services;
    event.chains = chains;
    event.rules = rules;
    event.ports.resize(2);
    return event;
  }

  std::uint32_t core_count = 16;
  std::vector<ServiceSettings> services;
  std::vector<ChainVersion> chains;
  std::vector<Classifier::Rule> rules;

 private:
  std::uint32_t label_count_ = 0;
};

/// A host that runs a File and changes to others, and remembers who handled which flow.
class ChangingHost {
 public:
  explicit ChangingHost(const File& file, LoopbackHost::Options options = {}) : wanted_(file) {
    Agent::Options& agent = options.agent;
    agent.core_count = file.core_count;
    agent.chain_count_max = std::min(agent.chain_count_max, 16u);
    agent.services = file.services;
    agent.chains = file.chains;
    agent.classifier = std::make_shared<const Classifier>(file.rules);
    agent.ports.resize(2);
    for (const auto& each : file.services) made_of_.push_back(text_of(each));
    options.make_function = [this](ServiceId service, std::uint32_t number) {
      return make(service, number);
    };
    options.renumbered = [this](const Renumbered& numbers) { renumber(numbers); };
    host = std::make_unique<LoopbackHost>(std::move(options));
  }
  ~ChangingHost() {
    host->shut_down();
    EXPECT_EQ(host->io().available(), host->memory().buffer_count());  // No buffer is lost.
  }
  ChangingHost(const ChangingHost&) = delete;
  ChangingHost& operator=(const ChangingHost&) = delete;

  void apply(const File& file) {
    wanted_ = file;
    host->handle(file.reconfigure());
  }
  /// Applies it and expects that the host went over to it at once.
  void change_to(const File& file) {
    const std::size_t before = host->reconfigured().size();
    apply(file);
    ASSERT_EQ(host->reconfigured().size(), before + 1);
    EXPECT_EQ(host->reconfigured().back().outcome, ReconfigureEnded::Outcome::kDone)
        << host->reconfigured().back().reason;
  }

  /// One packet of a flow through the host. @return Who handled it, in order: "fw:1#2" is the
  /// second instance of what fw was made of when its fingerprint was 1.
  std::vector<std::string> send(std::uint16_t flow, std::uint16_t destination_port) {
    visits_.clear();
    host->inject(PortId{0},
                 frames::udp({.source_port = flow, .destination_port = destination_port}));
    host->settle();
    return visits_;
  }
  std::vector<std::string> reply(std::uint16_t flow, std::uint16_t destination_port) {
    visits_.clear();
    host->inject(PortId{1}, frames::udp({.source_port = destination_port, .destination_port = flow},
                                        {.source = "10.0.0.2", .destination = "10.0.0.1"}));
    host->settle();
    return visits_;
  }
  [[nodiscard]] std::size_t sent_count() const { return host->io().output(PortId{1}).size(); }
  [[nodiscard]] std::size_t note_count(Note::Kind kind) const {
    return static_cast<std::size_t>(
        std::count_if(host->notes().begin(), host->notes().end(),
                      [&](const Note& note) { return note.kind == kind; }));
  }
  /// The names of all instances that the host has, ordered: "fw:1#2".
  [[nodiscard]] std::vector<std::string> instances() const {
    std::vector<std::string> names;
    const auto services = host->agent().services();
    for (std::uint16_t i = 0; i < services.size(); ++i) {
      for (const InstanceId id : host->instances_of(ServiceId{i})) {
        const std::string name = host->agent().name_of(id);
        names.push_back(made_of_[i] + "#" + name.substr(name.find('.') + 1));
      }
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  [[nodiscard]] InstanceId instance(const std::string& name) const {
    const auto services = host->agent().services();
    for (std::uint16_t i = 0; i < services.size(); ++i) {
      for (const InstanceId id : host->instances_of(ServiceId{i})) {
        const std::string full = host->agent().name_of(id);
        if (made_of_[i] + "#" + full.substr(full.find('.') + 1) == name) return id;
      }
    }
    ADD_FAILURE() << "no instance " << name;
    return kNoInstance;
  }

  std::unique_ptr<LoopbackHost> host;
  /// Told of each packet that an instance handles, after it was noted; may be empty.
  std::function<void(const std::string& made_of, Packet&, Context&)> script;

 private:
  static std::string text_of(const ServiceSettings& settings) {
    return settings.service.name + ":" + settings.fingerprint;
  }
  std::unique_ptr<NetworkFunction> make(ServiceId service, std::uint32_t number) {
    const std::string made_of = made_of_.at(index_of(service));
    const std::string name = made_of + "#" + std::to_string(number);
    return std::make_unique<Scripted>(
        [this, made_of, name](Packet& packet, std::span<std::byte>, Context& context) {
          visits_.push_back(name);
          packet.next();
          if (script) script(made_of, packet, context);
        });
  }
  void renumber(const Renumbered& numbers) {
    ASSERT_EQ(numbers.services.size(), wanted_.services.size());
    for (std::size_t i = 0; i < numbers.services.size(); ++i) {
      const std::size_t number = index_of(numbers.services[i]);
      if (number >= made_of_.size()) made_of_.resize(number + 1);
      made_of_[number] = text_of(wanted_.services[i]);
    }
  }

  File wanted_;
  std::vector<std::string> made_of_;  ///< By service number.
  std::vector<std::string> visits_;
};

}  // namespace sluice::test
