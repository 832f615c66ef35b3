#include "core/deployment/site.hpp"

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
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

/// With a host h1 of two workers and ports p0 and p1.
const Deployment& everything() {
  static const Deployment deployment =
      parse(read_all(golden("good/everything.yaml")), "everything.yaml").value();
  return deployment;
}

Site good(std::string_view text) {
  auto site = parse_site(text, "site.yaml", everything());
  EXPECT_TRUE(site) << site.error().to_string();
  return site ? std::move(*site) : default_site(everything());
}

// --- Bad files -----------------------------------------------------------------------------------

std::vector<fs::path> bad_sites() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(golden("bad_sites"))) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

class BadSite : public testing::TestWithParam<fs::path> {};

// With SLUICE_REGEN=1 in the environment it writes the messages; the diff is reviewed like code.
TEST_P(BadSite, GivesExactlyItsMessage) {
  const fs::path& path = GetParam();
  fs::path expected_path = path;
  expected_path.replace_extension(".expected");
  const auto result = parse_site(read_all(path), path.filename(), everything());
  ASSERT_FALSE(result) << "the file is good";
  const std::string message = result.error().to_string() + "\n";
  if (std::getenv("SLUICE_REGEN") != nullptr) std::ofstream(expected_path) << message;
  EXPECT_EQ(message, read_all(expected_path));
}

INSTANTIATE_TEST_SUITE_P(Golden, BadSite, testing::ValuesIn(bad_sites()),
                         [](const auto& test) { return test.param.stem().string(); });

TEST(BadSites, AreMany) {
  EXPECT_GE(bad_sites().size(), 50u);
}

// --- Good files ----------------------------------------------------------------------------------

TEST(Site, SaysWhatTheFileSays) {
  const Site site = good(read_all(golden("good_sites/everything.yaml")));
  ASSERT_EQ(site.hosts.size(), 1u);
  const SiteHost& host = site.hosts[0];
  ASSERT_EQ(host.ports.size(), 2u);
  ASSERT_TRUE(host.ports[0] && host.ports[1]);
  EXPECT_EQ(host.ports[0]->kind, SitePort::Kind::kInterface);
  EXPECT_EQ(host.ports[0]->device, "veth0");
  EXPECT_EQ(host.ports[0]->mac, "02:00:00:00:00:01");
  EXPECT_EQ(host.ports[0]->ip, "10.0.0.1");
  EXPECT_EQ(host.ports[1]->kind, SitePort::Kind::kVdev);
  EXPECT_EQ(host.ports[1]->device, "net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap");
  EXPECT_EQ(host.ports[0]->pace.bps, 0u);
  EXPECT_EQ(host.ports[1]->pace.bps, 2'000'000'000u);
  EXPECT_EQ(host.ports[1]->place.to_string(), "site.yaml:6:7");
  EXPECT_THAT(host.worker_cores, ElementsAre(0u, 1u));
  EXPECT_THAT(host.instance_cores, ElementsAre(1u));
  EXPECT_EQ(host.control_core, 0u);
  EXPECT_EQ(host.huge_pages, HugePages::kNo);
  EXPECT_EQ(host.sleep_max, 500us);
  EXPECT_EQ(host.metrics, "127.0.0.1:9200");
}

TEST(Site, WhatTheFileIsSilentOnStaysAsWithoutAFile) {
  for (const Site& site : {good("hosts: {h1: {ports: {}}}"), default_site(everything())}) {
    const SiteHost& host = site.hosts[0];
    ASSERT_EQ(host.ports.size(), 2u);
    EXPECT_FALSE(host.ports[0]);
    EXPECT_THAT(host.worker_cores, IsEmpty());
    EXPECT_THAT(host.instance_cores, IsEmpty());
    EXPECT_FALSE(host.control_core);
    EXPECT_EQ(host.huge_pages, HugePages::kAuto);
    EXPECT_EQ(host.sleep_max, 1ms);
    EXPECT_EQ(host.metrics, "127.0.0.1:9100");
  }
}

TEST(Site, PciAddressesAreCompletedToOneForm) {
  const Site site = good("hosts: {h1: {ports: {p1: {pci: '00:1F.7'}, p0: {pci: '000A:fe:00.0'}}}}");
  EXPECT_EQ(site.hosts[0].ports[1]->device, "0000:00:1f.7");
  EXPECT_EQ(site.hosts[0].ports[0]->device, "000a:fe:00.0");
}

TEST(Site, MetricsCanBeOffOrAtAnyAddress) {
  EXPECT_EQ(good("hosts: {h1: {metrics: off}}").hosts[0].metrics, "");
  EXPECT_EQ(good("hosts: {h1: {metrics: '[::1]:9100'}}").hosts[0].metrics, "[::1]:9100");
}

TEST(Site, SleepMaxOfZeroIsPurePolling) {
  EXPECT_EQ(good("hosts: {h1: {sleep_max: 0 s}}").hosts[0].sleep_max, Duration::zero());
}

TEST(Site, AVdevAndAnInterfaceOfOneNameAreTwoDevices) {
  const Site site = good("hosts: {h1: {ports: {p0: {vdev: net_tap0}, p1: {interface: net_tap0}}}}");
  EXPECT_EQ(site.hosts[0].ports[1]->device, "net_tap0");
}

TEST(Site, TwoHostsMayHaveDevicesOfOneName) {
  const auto two = parse(
      "name: t\nhosts: {h1: {cores: 2, clock: 1 GHz, ports: {p0: {rate: 1 Gbps}}},"
      " h2: {cores: 2, clock: 1 GHz, ports: {p0: {rate: 1 Gbps}}}}\n"
      "chains: {c: {from: h1.p0, to: h1.p0, steps: [forward]}}\n");
  ASSERT_TRUE(two) << two.error().to_string();
  const auto site = parse_site(
      "hosts: {h1: {ports: {p0: {interface: e0}}}, h2: {ports: {p0: {interface: e0}}}}", "s", *two);
  ASSERT_TRUE(site) << site.error().to_string();
  EXPECT_EQ(site->hosts[1].ports[0]->device, "e0");
}

}  // namespace
}  // namespace sluice
