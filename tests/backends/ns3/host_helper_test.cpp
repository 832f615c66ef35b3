#include "backends/ns3/host_helper.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ns3/csma-helper.h>
#include <ns3/point-to-point-helper.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "backends/ns3/burst_helper.hpp"
#include "backends/ns3/tcp_transfers.hpp"
#include "tests/backends/ns3/fixture.hpp"

namespace sluice {
namespace {

using test::SimTest;
using ::testing::HasSubstr;

constexpr const char* kDeployment = R"(
name: script
hosts:
  h1: {cores: 4, clock: 2 GHz, ports: {p0: {rate: 1 Gbps}, p1: {rate: 1 Gbps}}}
services:
  firewall: {function: firewall, rules: [{allow: {proto: udp, dst_port: 9}}], cost: 300 cycles}
  watch: {function: monitor, cost: 500 cycles, instances: {max: 3}}
chains:
  out: {from: h1.p0, to: h1.p1, match: {proto: udp}, steps: [firewall, watch]}
)";
constexpr std::uint16_t kAllowed = 9, kRefused = 10;

enum class LinkKind { kPointToPoint, kCsma, kBurst };

std::string name_of(const ::testing::TestParamInfo<LinkKind>& info) {
  switch (info.param) {
    case LinkKind::kPointToPoint:
      return "PointToPoint";
    case LinkKind::kCsma:
      return "Csma";
    case LinkKind::kBurst:
      return "Burst";
  }
  return "?";
}

void connect(LinkKind kind, ns3::Ptr<ns3::Node> a, ns3::Ptr<ns3::Node> b) {
  switch (kind) {
    case LinkKind::kPointToPoint: {
      ns3::PointToPointHelper helper;
      helper.SetDeviceAttribute("DataRate", ns3::StringValue("1Gbps"));
      helper.Install(a, b);
      return;
    }
    case LinkKind::kCsma: {
      ns3::CsmaHelper helper;
      helper.SetChannelAttribute("DataRate", ns3::StringValue("1Gbps"));
      helper.Install(ns3::NodeContainer{a, b});
      return;
    }
    case LinkKind::kBurst: {
      BurstHelper helper;
      helper.SetDeviceAttribute("DataRate", ns3::StringValue("1Gbps"));
      helper.Install(a, b);
      return;
    }
  }
}

/// A byte tag of the test's own, as FlowMonitor and others put on packets.
class MarkTag final : public ns3::Tag {
 public:
  static ns3::TypeId GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("sluice::test::MarkTag").SetParent<ns3::Tag>().AddConstructor<MarkTag>();
    return tid;
  }
  ns3::TypeId GetInstanceTypeId() const override { return GetTypeId(); }
  uint32_t GetSerializedSize() const override { return 4; }
  void Serialize(ns3::TagBuffer buffer) const override { buffer.WriteU32(mark); }
  void Deserialize(ns3::TagBuffer buffer) override { mark = buffer.ReadU32(); }
  void Print(std::ostream& out) const override { out << mark; }
  std::uint32_t mark = 0;
};

/// client - middle - server, with room for a host in the middle. Who is the middle has no stack.
struct Line {
  explicit Line(LinkKind kind) {
    nodes.Create(3);
    connect(kind, nodes.Get(0), nodes.Get(1));
    connect(kind, nodes.Get(1), nodes.Get(2));
    assign_address(nodes.Get(0)->GetDevice(0), "10.0.0.1", "255.255.255.0");
    assign_address(nodes.Get(2)->GetDevice(0), "10.0.0.2", "255.255.255.0");
    listen(kAllowed);
    listen(kRefused);
    socket = ns3::Socket::CreateSocket(nodes.Get(0), ns3::UdpSocketFactory::GetTypeId());
    socket->Bind();
  }

  void listen(std::uint16_t port) {
    const auto server = ns3::Socket::CreateSocket(nodes.Get(2), ns3::UdpSocketFactory::GetTypeId());
    server->Bind(ns3::InetSocketAddress(ns3::Ipv4Address::GetAny(), port));
    server->SetRecvCallback(
        ns3::Callback<void, ns3::Ptr<ns3::Socket>>([this, port](ns3::Ptr<ns3::Socket> from) {
          while (const ns3::Ptr<ns3::Packet> packet = from->Recv()) {
            ++received[port];
            MarkTag tag;
            if (packet->FindFirstMatchingByteTag(tag)) byte_marks.push_back(tag.mark);
            if (packet->PeekPacketTag(tag)) packet_marks.push_back(tag.mark);
          }
        }));
    servers.push_back(server);
  }

  /// One datagram each 100 us from 1 ms on, marked 0, 1, ...
  void send(std::uint32_t count, std::uint16_t port) const {
    for (std::uint32_t i = 0; i < count; ++i) {
      schedule(std::chrono::microseconds{1000 + 100 * i}, [to = socket, i, port] {
        const auto packet = ns3::Create<ns3::Packet>(200);
        MarkTag tag;
        tag.mark = i;
        packet->AddByteTag(tag);
        packet->AddPacketTag(tag);
        to->SendTo(packet, 0, ns3::InetSocketAddress("10.0.0.2", port));
      });
    }
  }

  ns3::NodeContainer nodes;
  ns3::Ptr<ns3::Socket> socket;
  std::vector<ns3::Ptr<ns3::Socket>> servers;
  std::map<std::uint16_t, std::uint32_t> received;
  std::vector<std::uint32_t> byte_marks, packet_marks;
};

HostHelper helper_of(const std::string& text) {
  auto helper = HostHelper::FromText(text);
  EXPECT_TRUE(helper.has_value()) << (helper ? "" : helper.error().to_string());
  return *helper;
}

void run_for(Duration duration) {
  ns3::Simulator::Stop(to_time(duration));
  ns3::Simulator::Run();
}

/// What the trace sources told, counted.
struct Traced {
  explicit Traced(ns3::Ptr<SluiceHost> host) {
    connect<ns3::Ptr<const ns3::Packet>, std::uint16_t>(
        host, "Rx", [this](ns3::Ptr<const ns3::Packet> frame, std::uint16_t port) {
          if (is_ip(*frame)) ++rx[port];
        });
    connect<ns3::Ptr<const ns3::Packet>, std::uint16_t>(
        host, "Tx", [this](ns3::Ptr<const ns3::Packet> frame, std::uint16_t port) {
          if (is_ip(*frame)) ++tx[port];
        });
    connect<ns3::Ptr<const ns3::Packet>, DropReason>(
        host, "Drop",
        [this](ns3::Ptr<const ns3::Packet>, DropReason reason) { ++drops[to_string(reason)]; });
    connect<FlowId, const FlowKey&, std::string>(
        host, "FlowStarted", [this](FlowId, const FlowKey& key, const std::string& chain) {
          flows.push_back(chain + ":" + std::to_string(key.destination_port));
        });
    connect<FlowId>(host, "FlowEnded", [this](FlowId) { ++flows_ended; });
    connect<std::string, std::string>(host, "InstanceStarted",
                                      [this](std::string name, std::string service) {
                                        events.push_back("start " + name + " of " + service);
                                      });
    connect<std::string, bool>(host, "InstanceEnded", [this](std::string name, bool died) {
      events.push_back((died ? "died " : "stopped ") + name);
    });
    connect<std::string>(host, "InstanceDraining",
                         [this](std::string name) { events.push_back("drain " + name); });
    connect<std::string, std::string>(host, "ScaleUp", [this](std::string name, std::string why) {
      events.push_back("up " + name + " " + why);
    });
    connect<std::string, std::string>(host, "ScaleDown", [this](std::string name, std::string why) {
      events.push_back("down " + name + " " + why);
    });
    connect<std::string, double>(host, "Occupancy", [this](std::string name, double ratio) {
      ++samples[name];
      EXPECT_GE(ratio, 0.0);
      EXPECT_LE(ratio, 1.0);
    });
  }
  template <class... Arguments, class Action>
  static void connect(ns3::Ptr<SluiceHost> host, const char* source, Action action) {
    EXPECT_TRUE(host->TraceConnectWithoutContext(source, ns3::Callback<void, Arguments...>(action)))
        << source;
  }
  static bool is_ip(const ns3::Packet& frame) {
    std::uint8_t bytes[14];
    return frame.CopyData(bytes, sizeof bytes) == sizeof bytes && bytes[12] == 8 && bytes[13] == 0;
  }
  std::map<std::uint16_t, std::uint32_t> rx, tx;
  std::map<std::string, std::uint32_t> drops, samples;
  std::vector<std::string> flows, events;
  std::uint32_t flows_ended = 0;
};

class HostHelperLinks : public SimTest, public ::testing::WithParamInterface<LinkKind> {};
INSTANTIATE_TEST_SUITE_P(All, HostHelperLinks,
                         ::testing::Values(LinkKind::kPointToPoint, LinkKind::kCsma,
                                           LinkKind::kBurst),
                         name_of);

TEST_P(HostHelperLinks, FramesGoThroughTheChainsAndTraceSourcesTellOfThem) {
  Line line{GetParam()};
  const auto host = helper_of(kDeployment).Install(line.nodes.Get(1));
  ASSERT_TRUE(host.has_value()) << host.error().to_string();
  Traced traced{*host};
  line.send(20, kAllowed);
  line.send(5, kRefused);
  run_for(std::chrono::milliseconds{100});

  EXPECT_EQ(line.received[kAllowed], 20u);
  EXPECT_EQ(line.received[kRefused], 0u);
  EXPECT_EQ(traced.rx, (std::map<std::uint16_t, std::uint32_t>{{0, 25}}));
  EXPECT_EQ(traced.tx, (std::map<std::uint16_t, std::uint32_t>{{1, 20}}));
  EXPECT_EQ(traced.drops, (std::map<std::string, std::uint32_t>{{"rule", 5}}));
  EXPECT_THAT(traced.flows, ::testing::UnorderedElementsAre("out:9", "out:10"));
  EXPECT_EQ(traced.events,
            (std::vector<std::string>{"start firewall.1 of firewall", "start watch.1 of watch"}));
  // The first sample is at 10 ms, the one at 100 ms comes after the stop or before it.
  EXPECT_GE(traced.samples["watch.1"], 9u);
  EXPECT_LE(traced.samples["watch.1"], 10u);
  EXPECT_EQ((*host)->GetDropCount(DropReason::kRule), 5u);
  EXPECT_EQ((*host)->GetDropCount(), 5u);
  const WorkerStatistics statistics = (*host)->GetStatistics();
  EXPECT_EQ(statistics.flows_started, 2u);
  EXPECT_EQ(statistics.chains[0].left_packets, 20u);
  EXPECT_GT(statistics.chains[0].latency.mean(), Duration::zero());
  EXPECT_EQ((*host)->GetInstanceCount("watch"), 1u);
  EXPECT_EQ((*host)->GetInstanceCount("nobody"), 0u);
  (*host)->Stop();
  EXPECT_EQ((*host)->Audit(), "");
}

TEST_P(HostHelperLinks, TagsCrossLinksAndHost) {
  Line line{GetParam()};
  const auto host = helper_of(kDeployment).Install(line.nodes.Get(1));
  ASSERT_TRUE(host.has_value()) << host.error().to_string();
  line.send(4, kAllowed);
  run_for(std::chrono::milliseconds{20});
  const std::vector<std::uint32_t> marks{0, 1, 2, 3};
  EXPECT_EQ(line.byte_marks, marks);
  EXPECT_EQ(line.packet_marks, marks);
}

class HostHelperTest : public SimTest {};

TEST_F(HostHelperTest, AFlowEndsWhenItIsIdle) {
  Line line{LinkKind::kBurst};
  const auto host = helper_of(kDeployment).Install(line.nodes.Get(1));
  Traced traced{*host};
  line.send(2, kAllowed);
  run_for(std::chrono::seconds{7});
  EXPECT_EQ(traced.flows_ended, 1u);
}

TEST_F(HostHelperTest, AttributesAreSetByHelperAndByConfig) {
  Line line{LinkKind::kPointToPoint};
  HostHelper helper = helper_of(kDeployment);
  helper.SetAttribute("Seed", ns3::UintegerValue(7));
  const auto host = helper.Install(line.nodes.Get(1));
  ns3::UintegerValue seed;
  (*host)->GetAttribute("Seed", seed);
  EXPECT_EQ(seed.Get(), 7u);
  ns3::Config::Set("/NodeList/1/$sluice::Host/SampleInterval",
                   ns3::TimeValue(ns3::MilliSeconds(30)));
  std::uint32_t sample_count = 0;
  const auto count = [&sample_count](std::string, std::string, double) { ++sample_count; };
  ns3::Config::Connect("/NodeList/1/$sluice::Host/Load",
                       ns3::Callback<void, std::string, std::string, double>(count));
  run_for(std::chrono::milliseconds{100});
  EXPECT_EQ(sample_count, 2u * 3u);  // Two instances, at 30, 60 and 90 ms.
}

TEST_F(HostHelperTest, TheSamplerScalesUnlessScalingIsOff) {
  for (const bool scaling : {true, false}) {
    Line line{LinkKind::kBurst};
    HostHelper helper = helper_of(kDeployment);
    helper.SetAttribute("Scaling", ns3::BooleanValue(scaling));
    const auto host = helper.Install(line.nodes.Get(1));
    Traced traced{*host};
    std::uint32_t sample_count = 0;
    const auto one_more_at_the_third = [&](const LoadSample& sample) {
      std::vector<ScaleRequest> requests;
      if (++sample_count != 3) return requests;
      ScaleRequest request;
      request.service = sample.instances.back().service;
      request.reason = "test";
      requests.push_back(request);
      return requests;
    };
    (*host)->SetSampler(one_more_at_the_third);
    run_for(std::chrono::milliseconds{95});
    EXPECT_EQ(sample_count, scaling ? 9u : 0u);
    EXPECT_EQ((*host)->GetInstanceCount("watch"), scaling ? 2u : 1u);
    if (scaling) {
      EXPECT_THAT(traced.events, ::testing::IsSupersetOf<std::string>(
                                     {"up watch test", "start watch.2 of watch"}));
    }
    ns3::Simulator::Destroy();
  }
}

TEST_F(HostHelperTest, ADeadInstanceIsToldAndReplaced) {
  Line line{LinkKind::kBurst};
  const auto host = helper_of(kDeployment).Install(line.nodes.Get(1));
  Traced traced{*host};
  schedule(std::chrono::milliseconds{5},
           [host = *host] { EXPECT_TRUE(host->GetHost()->kill(ServiceId{1}, 1)); });
  run_for(std::chrono::milliseconds{50});
  EXPECT_THAT(traced.events,
              ::testing::IsSupersetOf<std::string>({"died watch.1", "start watch.2 of watch"}));
}

TEST_F(HostHelperTest, ChangesOfTheDeploymentHappen) {
  Line line{LinkKind::kBurst};
  const auto host =
      helper_of(std::string{kDeployment} + "changes: [{at: 10 ms, chain: out, steps: [watch]}]\n")
          .Install(line.nodes.Get(1));
  line.send(200, kRefused);  // From 1 to 21 ms, one flow, which keeps the version that it has.
  schedule(std::chrono::milliseconds{15}, [&line] {
    const auto other =
        ns3::Socket::CreateSocket(line.nodes.Get(0), ns3::UdpSocketFactory::GetTypeId());
    other->Bind();
    other->SendTo(ns3::Create<ns3::Packet>(100), 0, ns3::InetSocketAddress("10.0.0.2", kRefused));
  });
  run_for(std::chrono::milliseconds{50});
  EXPECT_EQ(line.received[kRefused], 1u);
}

constexpr const char* kTwoHosts = R"(
name: two
hosts:
  h1: {cores: 4, clock: 2 GHz, ports: {in: {rate: 1 Gbps}, out: {rate: 1 Gbps}}}
  h2: {cores: 4, clock: 2 GHz, ports: {in: {rate: 1 Gbps}, out: {rate: 1 Gbps}}}
services:
  first: {function: monitor, cost: 300 cycles}
  second: {function: monitor, cost: 500 cycles}
chains:
  a: {from: h1.in, to: h1.out, match: {proto: udp}, steps: [first]}
  b: {from: h2.in, to: h2.out, match: {proto: udp}, steps: [second]}
)";

TEST_F(HostHelperTest, TwoHostsStandInOneScript) {
  Line line{LinkKind::kPointToPoint};
  const HostHelper helper = helper_of(kTwoHosts);
  // Another line whose middle is h2, with its ports named, and turned round.
  Line other{LinkKind::kBurst};
  const auto h1 = helper.Install(line.nodes.Get(1), "h1");
  const ns3::Ptr<ns3::Node> node = other.nodes.Get(1);
  const auto h2 =
      helper.Install(node, "h2", {{"out", node->GetDevice(1)}, {"in", node->GetDevice(0)}});
  ASSERT_TRUE(h1.has_value() && h2.has_value());
  line.send(7, kAllowed);
  other.send(11, kAllowed);
  run_for(std::chrono::milliseconds{50});
  EXPECT_EQ(line.received[kAllowed], 7u);
  EXPECT_EQ(other.received[kAllowed], 11u);
  EXPECT_EQ((*h1)->GetStatistics().chains[0].left_packets, 7u);
  EXPECT_EQ((*h2)->GetStatistics().chains[1].left_packets, 11u);
}

TEST_F(HostHelperTest, ASecondRunInTheSameProcessIsTheSame) {
  std::vector<std::pair<std::uint64_t, std::uint32_t>> runs;
  for (int run = 0; run < 2; ++run) {
    ns3::Ptr<SluiceHost> kept;  // Outlives what it is in, as in a script that forgets it.
    {
      Line line{LinkKind::kCsma};
      kept = *helper_of(kDeployment).Install(line.nodes.Get(1));
      Traced traced{kept};
      line.send(200, kAllowed);
      run_for(std::chrono::milliseconds{15});  // In the middle of it, and behind ARP's jitter.
      runs.emplace_back(kept->GetStatistics().chains[0].left_packets, traced.rx[0]);
      EXPECT_LT(traced.rx[0], 200u);
    }
    ns3::Simulator::Destroy();  // What is traced is gone: nothing may call it.
    EXPECT_EQ(kept->Audit(), "");
    EXPECT_EQ(kept->GetHost(), nullptr);
    EXPECT_EQ(kept->GetStatistics().chains[0].left_packets, runs.back().first);
  }
  EXPECT_GT(runs[0].first, 0u);
  EXPECT_EQ(runs[0], runs[1]);
}

TEST_F(HostHelperTest, AHostMayComeWhenTheSimulationRuns) {
  Line line{LinkKind::kBurst};
  line.send(20, kAllowed);
  schedule(std::chrono::microseconds{500},
           [&line] { EXPECT_TRUE(helper_of(kDeployment).Install(line.nodes.Get(1)).has_value()); });
  run_for(std::chrono::milliseconds{50});
  EXPECT_EQ(line.received[kAllowed], 20u);
}

std::string error_of(const Result<ns3::Ptr<SluiceHost>>& result) {
  return result ? "no error" : result.error().to_string();
}

TEST_F(HostHelperTest, WhatDoesNotFitIsAnErrorWithItsPlace) {
  Line line{LinkKind::kPointToPoint};
  const HostHelper one = helper_of(kDeployment);
  const HostHelper two = helper_of(kTwoHosts);
  const ns3::Ptr<ns3::Node> middle = line.nodes.Get(1), end = line.nodes.Get(0);
  EXPECT_EQ(error_of(one.Install(end)),
            "deployment:4:3: hosts.h1.ports: each needs a device of node 0; got 1 device; "
            "expected 2 devices (p0, p1)");
  EXPECT_EQ(error_of(one.Install(nullptr)),
            "deployment:4:3: hosts.h1: no node to install on; got null; expected a node");
  EXPECT_EQ(error_of(two.Install(middle)),
            "deployment: hosts: which one is meant?; got 2 hosts; expected the name of one of "
            "h1, h2");
  EXPECT_EQ(error_of(two.Install(middle, "h3")),
            "deployment: hosts: no such host; got \"h3\"; expected one of h1, h2");
  const auto by_name = [&](const HostHelper::Devices& devices) {
    return error_of(one.Install(middle, "h1", devices));
  };
  const auto left = middle->GetDevice(0);
  EXPECT_THAT(by_name({{"p0", left}, {"p7", middle->GetDevice(1)}}),
              HasSubstr("no such port; got \"p7\"; expected one of p0, p1"));
  EXPECT_THAT(by_name({{"p0", left}, {"p1", left}}), HasSubstr("is another port's, too"));
  EXPECT_THAT(by_name({{"p0", left}, {"p1", end->GetDevice(0)}}),
              HasSubstr("hosts.h1.ports.p1: its device is not on node 1"));
  EXPECT_THAT(by_name({{"p0", left}, {"p1", nullptr}}), HasSubstr("got null"));
  // None of these left a trace.
  EXPECT_EQ(error_of(one.Install(middle)), "no error");
  EXPECT_THAT(error_of(one.Install(middle)), HasSubstr("node 1 has a host already"));
}

TEST_F(HostHelperTest, ABadDeploymentIsAnErrorWithItsPlace) {
  std::string text = kDeployment;
  text.replace(text.find("cores"), 5, "coers");
  const auto bad = HostHelper::FromText(text);
  ASSERT_FALSE(bad.has_value());
  EXPECT_THAT(bad.error().to_string(), HasSubstr("deployment:4:8: hosts.h1.coers"));
  EXPECT_EQ(HostHelper::FromFile("/nowhere/x.yaml").error().to_string(),
            "/nowhere/x.yaml: cannot be read: No such file or directory; "
            "expected a deployment file");
  EXPECT_THAT(HostHelper::FromFile("/").error().to_string(), HasSubstr("it is a directory"));
}

TEST_F(HostHelperTest, AProgramOfAThirdPartyCannotBeSimulated) {
  std::string text{kDeployment};
  text.replace(text.find("function: monitor"), 17, "function: external, program: ./nf");
  const auto helper = HostHelper::FromText(text);
  ASSERT_FALSE(helper.has_value());
  EXPECT_THAT(helper.error().to_string(),
              HasSubstr("deployment:7:21: services.watch.function: runs only on real hosts; got "
                        "external; expected one of busy, delay, firewall,"));
}

TEST_F(HostHelperTest, FilesAreFoundBesideTheDeployment) {
  const std::string path = std::string{SLUICE_SOURCE_DIR} + "/experiments/autoscale/autoscale.yaml";
  const auto helper = HostHelper::FromFile(path);
  ASSERT_TRUE(helper.has_value()) << helper.error().to_string();
  EXPECT_EQ(helper->GetDeployment().name, "autoscale");
}

/// What a command prints; empty when it cannot be started.
std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return text;
  char part[256];
  while (std::fgets(part, sizeof part, pipe) != nullptr) text += part;
  ::pclose(pipe);
  return text;
}

TEST_F(HostHelperTest, BurstLinksAreCapturedAsEthernet) {
  Line line{LinkKind::kBurst};
  const auto host = helper_of(kDeployment).Install(line.nodes.Get(1));
  const std::string prefix = ::testing::TempDir() + "sluice-burst-" + std::to_string(::getpid());
  BurstHelper().EnablePcapAll(prefix);
  line.send(20, kAllowed);
  run_for(std::chrono::milliseconds{50});
  ns3::Simulator::Destroy();  // Closes the files.
  if (output_of("tshark --version 2>/dev/null").empty()) GTEST_SKIP() << "tshark is not installed";
  std::uint32_t file_count = 0;
  for (std::uint32_t node = 0; node < 3; ++node) {
    for (std::uint32_t device = 0; device < 2; ++device) {
      const std::string file =
          prefix + "-" + std::to_string(node) + "-" + std::to_string(device) + ".pcap";
      if (!std::filesystem::exists(file)) continue;
      ++file_count;
      const auto lines = [&file](const std::string& filter) {
        const std::string text =
            output_of("tshark -n -o ip.check_checksum:TRUE -r " + file +
                      " -o udp.check_checksum:TRUE -Y '" + filter + "' 2>/dev/null | wc -l");
        return std::stoi(text);
      };
      EXPECT_EQ(lines("udp.dstport == 9 && ip.src == 10.0.0.1"), 20) << file;
      EXPECT_EQ(lines("arp"), 2) << file;
      EXPECT_EQ(lines("_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0"), 0)
          << file;
      std::filesystem::remove(file);
    }
  }
  EXPECT_EQ(file_count, 4u);
}

}  // namespace
}  // namespace sluice
