#include "tests/bench/bench_sim_stock.hpp"

#include <chrono>

#include "backends/ns3/ns3.hpp"
#include "backends/ns3/sim_time.hpp"
#include "backends/ns3/tcp_transfers.hpp"

namespace sluice::bench {

namespace {

constexpr std::uint32_t kEthernetHeader = 14, kIpUdpHeaders = 28;

ns3::NetDeviceContainer make_link(const StockRunOptions& options) {
  const auto channel = ns3::CreateObject<ns3::PointToPointChannel>();
  channel->SetAttribute("Delay", ns3::StringValue("1us"));
  ns3::NetDeviceContainer devices;
  for (const char* address : {"10.0.0.1", "10.0.0.2"}) {
    const auto device = ns3::CreateObject<ns3::PointToPointNetDevice>();
    device->SetAttribute("DataRate", ns3::DataRateValue(ns3::DataRate(options.link_rate.bps)));
    const auto queue = ns3::CreateObject<ns3::DropTailQueue<ns3::Packet>>();
    queue->SetMaxSize(ns3::QueueSize("1024p"));
    device->SetQueue(queue);
    device->SetAddress(ns3::Mac48Address::Allocate());
    ns3::CreateObject<ns3::Node>()->AddDevice(device);
    device->Attach(channel);
    assign_address(device, address, "255.255.255.0");
    devices.Add(device);
  }
  return devices;
}

}  // namespace

StockRun run_stock_udp(const StockRunOptions& options) {
  constexpr std::uint16_t kPort = 9;
  // As ns-3 does by itself; our simulations turn them on, for the whole process.
  ns3::GlobalValue::Bind("ChecksumEnabled", ns3::BooleanValue(false));
  ns3::Simulator::Destroy();
  ns3::ObjectFactory scheduler;
  scheduler.SetTypeId(options.scheduler);
  ns3::Simulator::SetScheduler(scheduler);
  const ns3::NetDeviceContainer devices = make_link(options);

  const std::uint32_t payload = options.frame_size_bytes - kEthernetHeader - kIpUdpHeaders;
  const ns3::InetSocketAddress target(ns3::Ipv4Address("10.0.0.2"), kPort);
  ns3::OnOffHelper source("ns3::UdpSocketFactory", target);
  // The helper's rate counts payload, ours frames.
  const std::uint64_t payload_bps = options.offered.bps / options.frame_size_bytes * payload;
  source.SetConstantRate(ns3::DataRate(payload_bps), payload);
  source.SetAttribute("MaxBytes", ns3::UintegerValue(options.packet_count * payload));
  source.Install(devices.Get(0)->GetNode()).Start(ns3::Seconds(0));
  ns3::PacketSinkHelper sink_helper("ns3::UdpSocketFactory", target);
  ns3::ApplicationContainer sinks = sink_helper.Install(devices.Get(1)->GetNode());
  sinks.Start(ns3::Seconds(0));

  StockRun run;
  const std::uint64_t events_before = ns3::Simulator::GetEventCount();
  const auto wall_before = std::chrono::steady_clock::now();
  ns3::Simulator::Run();
  run.wall_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - wall_before).count();
  run.events = ns3::Simulator::GetEventCount() - events_before;
  run.sent = options.packet_count;
  run.received = ns3::DynamicCast<ns3::PacketSink>(sinks.Get(0))->GetTotalRx() / payload;
  ns3::Simulator::Destroy();
  return run;
}

}  // namespace sluice::bench
