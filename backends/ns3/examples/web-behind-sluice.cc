// A Sluice host as a bump in the wire of an ordinary ns-3 script.
//
//   c0 c1 c2  10.0.0.1-3                         s0 s1  10.0.0.4-5
//    |  |  |                                      |  |
//   =========== CSMA                             ======== CSMA
//        |                                          |
//     switch ------------- [ Sluice ] ----------- switch
//
// One subnet, for the host in the middle is transparent. c0 and c1 upload to port 80 of s0 and s1,
// a bulk transfer and an on/off stream; c2 tries port 22 of s0, which the chain's firewall refuses.
// FlowMonitor watches clients and servers, as it would without the host.
//
//   sluice-example-web [--burst] [--pcap=PREFIX] [--duration=SECONDS] [--deployment=FILE]

#include <ns3/bridge-helper.h>
#include <ns3/bulk-send-helper.h>
#include <ns3/command-line.h>
#include <ns3/csma-helper.h>
#include <ns3/flow-monitor-helper.h>
#include <ns3/ipv4-flow-classifier.h>

#include <cstdint>
#include <iostream>
#include <string>

#include "backends/ns3/burst_helper.hpp"
#include "backends/ns3/host_helper.hpp"
#include "backends/ns3/ns3.hpp"

using namespace ns3;

namespace {

constexpr uint16_t kWebPort = 80;
constexpr uint16_t kShellPort = 22;

struct Options {
  bool burst = false;
  std::string pcap;
  double duration = 3.0;
  std::string deployment = SLUICE_EXAMPLE_FOLDER "/web-behind-sluice.yaml";
};

struct Network {
  NodeContainer clients, servers, switches;
  Ptr<Node> middle;
  Ipv4InterfaceContainer clientAddresses, serverAddresses;
};

// A link between a switch and the Sluice host. Returns the switch's device.
Ptr<NetDevice> ConnectMiddle(Ptr<Node> lanSwitch, Ptr<Node> middle, bool burst) {
  if (burst) {
    sluice::BurstHelper helper;  // Far fewer events a packet than a stock link.
    helper.SetDeviceAttribute("DataRate", StringValue("1Gbps"));
    helper.SetChannelAttribute("Delay", StringValue("10us"));
    return helper.Install(lanSwitch, middle).Get(0);
  }
  CsmaHelper helper;
  helper.SetChannelAttribute("DataRate", StringValue("1Gbps"));
  helper.SetChannelAttribute("Delay", StringValue("10us"));
  return helper.Install(NodeContainer(lanSwitch, middle)).Get(0);
}

// A CSMA segment with all of `members` and a switch on it, whose other port leads to `middle`.
NetDeviceContainer BuildLan(const NodeContainer& members, Ptr<Node> lanSwitch, Ptr<Node> middle,
                            bool burst) {
  CsmaHelper csma;
  csma.SetChannelAttribute("DataRate", StringValue("100Mbps"));
  csma.SetChannelAttribute("Delay", StringValue("5us"));
  NetDeviceContainer devices = csma.Install(NodeContainer(members, NodeContainer(lanSwitch)));
  NetDeviceContainer switchPorts;
  switchPorts.Add(devices.Get(members.GetN()));
  switchPorts.Add(ConnectMiddle(lanSwitch, middle, burst));
  BridgeHelper().Install(lanSwitch, switchPorts);
  NetDeviceContainer memberDevices;
  for (uint32_t i = 0; i < members.GetN(); ++i) memberDevices.Add(devices.Get(i));
  return memberDevices;
}

Network BuildNetwork(bool burst) {
  Network network;
  network.clients.Create(3);
  network.servers.Create(2);
  network.switches.Create(2);
  network.middle = CreateObject<Node>();
  // The host's ports take the devices of its node in order: "outside" first, then "inside".
  const NetDeviceContainer outside =
      BuildLan(network.clients, network.switches.Get(0), network.middle, burst);
  const NetDeviceContainer inside =
      BuildLan(network.servers, network.switches.Get(1), network.middle, burst);
  InternetStackHelper stack;  // Not on the switches, nor in the middle: they know no addresses.
  stack.Install(network.clients);
  stack.Install(network.servers);
  Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
  network.clientAddresses = addresses.Assign(outside);
  network.serverAddresses = addresses.Assign(inside);
  return network;
}

// A sink on `server`, and what sends to it. Returns the sink.
Ptr<PacketSink> Listen(Ptr<Node> server, uint16_t port) {
  PacketSinkHelper sink("ns3::TcpSocketFactory", InetSocketAddress(Ipv4Address::GetAny(), port));
  return sink.Install(server).Get(0)->GetObject<PacketSink>();
}

void SendBulk(Ptr<Node> client, Ipv4Address server, uint16_t port) {
  BulkSendHelper bulk("ns3::TcpSocketFactory", InetSocketAddress(server, port));
  bulk.SetAttribute("MaxBytes", UintegerValue(10'000'000));
  bulk.Install(client).Start(MilliSeconds(100));
}

void SendOnOff(Ptr<Node> client, Ipv4Address server, uint16_t port) {
  OnOffHelper stream("ns3::TcpSocketFactory", InetSocketAddress(server, port));
  stream.SetConstantRate(DataRate("5Mbps"), 1000);
  stream.SetAttribute("OnTime", StringValue("ns3::ConstantRandomVariable[Constant=0.2]"));
  stream.SetAttribute("OffTime", StringValue("ns3::ConstantRandomVariable[Constant=0.1]"));
  stream.Install(client).Start(MilliSeconds(150));
}

void PrintFlows(FlowMonitorHelper& helper, const FlowMonitor& monitor) {
  const auto classifier = DynamicCast<Ipv4FlowClassifier>(helper.GetClassifier());
  for (const auto& [id, flow] : monitor.GetFlowStats()) {
    const Ipv4FlowClassifier::FiveTuple tuple = classifier->FindFlow(id);
    const double seconds = (flow.timeLastRxPacket - flow.timeFirstTxPacket).GetSeconds();
    std::cout << "flow " << tuple.sourceAddress << ":" << tuple.sourcePort << " -> "
              << tuple.destinationAddress << ":" << tuple.destinationPort << " tx "
              << flow.txPackets << " rx " << flow.rxPackets;
    if (flow.rxPackets > 0) {
      std::cout << " rate_mbps " << static_cast<double>(flow.rxBytes) * 8 / seconds / 1e6
                << " delay_ms " << flow.delaySum.GetSeconds() * 1e3 / flow.rxPackets;
    }
    std::cout << "\n";
  }
}

void PrintHost(const sluice::SluiceHost& host) {
  const sluice::WorkerStatistics statistics = host.GetStatistics();
  for (size_t i = 0; i < statistics.ports.size(); ++i) {
    std::cout << "port " << host.GetDeployment().hosts[0].ports[i].name << " received "
              << statistics.ports[i].received_packets << " sent "
              << statistics.ports[i].sent_packets << "\n";
  }
  std::cout << "host flows " << statistics.flows_started << " dropped " << host.GetDropCount()
            << " by_rule " << host.GetDropCount(sluice::DropReason::kRule) << "\n";
}

int Simulate(const Options& options) {
  const auto helper = sluice::HostHelper::FromFile(options.deployment);
  if (!helper) {
    std::cerr << helper.error().to_string() << "\n";
    return 2;
  }
  const Network network = BuildNetwork(options.burst);
  const auto host = helper->Install(network.middle);
  if (!host) {
    std::cerr << host.error().to_string() << "\n";
    return 2;
  }
  uint64_t refused = 0;  // Counted by a trace source of the host, beside its own counters.
  (*host)->TraceConnectWithoutContext(
      "Drop", Callback<void, Ptr<const Packet>, sluice::DropReason>(
                  [&refused](Ptr<const Packet>, sluice::DropReason) { ++refused; }));

  const Ptr<PacketSink> bulk = Listen(network.servers.Get(0), kWebPort);
  const Ptr<PacketSink> stream = Listen(network.servers.Get(1), kWebPort);
  const Ptr<PacketSink> shell = Listen(network.servers.Get(0), kShellPort);
  SendBulk(network.clients.Get(0), network.serverAddresses.GetAddress(0), kWebPort);
  SendOnOff(network.clients.Get(1), network.serverAddresses.GetAddress(1), kWebPort);
  SendBulk(network.clients.Get(2), network.serverAddresses.GetAddress(0), kShellPort);
  if (!options.pcap.empty()) {
    CsmaHelper().EnablePcapAll(options.pcap, true);  // Promiscuous: the host has no address.
    sluice::BurstHelper().EnablePcapAll(options.pcap);
  }
  FlowMonitorHelper flows;
  flows.Install(network.clients);
  const Ptr<FlowMonitor> monitor = flows.Install(network.servers);

  Simulator::Stop(Seconds(options.duration));
  Simulator::Run();
  std::cout << "goodput_bytes bulk " << bulk->GetTotalRx() << " stream " << stream->GetTotalRx()
            << " shell " << shell->GetTotalRx() << "\n";
  PrintFlows(flows, *monitor);
  PrintHost(**host);
  std::cout << "trace drops " << refused << " events " << Simulator::GetEventCount() << "\n";
  Simulator::Destroy();
  return 0;
}

}  // namespace

int main(int argc, char* argv[]) {
  Options options;
  CommandLine command(__FILE__);
  command.AddValue("burst", "Sluice's burst links at the host, not CSMA", options.burst);
  command.AddValue("pcap", "Capture on all devices, to files of this prefix", options.pcap);
  command.AddValue("duration", "Simulated seconds", options.duration);
  command.AddValue("deployment", "What stands in the middle", options.deployment);
  command.Parse(argc, argv);
  Config::SetDefault("ns3::TcpSocket::SegmentSize", UintegerValue(1448));
  return Simulate(options);
}
