#include <cstdio>
#include <memory>
#include <string>

#include "tests/bench/dpdk/dpdk_groups.hpp"
#include "tests/bench/dpdk/lab.hpp"
#include "tests/bench/dpdk/open_vswitch.hpp"
#include "tests/bench/dpdk/sluice_host.hpp"
#include "tests/bench/dpdk/testpmd.hpp"

namespace sluice::bench {
namespace {

/// What the network function of a hop does: it reads each packet's headers and lets it pass.
constexpr const char* kHeaderReader =
    "function: firewall, stateful: false, rules: [{allow: {proto: udp}}]";

/// Packets that leave an Open vSwitch until its exact-match cache has seen each flow often.
constexpr std::uint64_t kWarmRounds = 20;

std::string why_no_testpmd() {
  return program_exists(Testpmd::kProgram) ? "" : "no dpdk-testpmd; install dpdk-dev";
}

std::string why_no_open_vswitch() {
  return program_exists(OpenVswitch::kSwitch) && program_exists(OpenVswitch::kDatabase)
             ? ""
             : "no ovs-vswitchd-dpdk; install openvswitch-switch-dpdk";
}

std::string why_no_host() {
  return SluiceHost::available() ? "" : "this build has no sluice-host";
}

/// One row for each setting, of what `start_value` and `start_peer` start.
template <class StartValue, class StartPeer>
void compare_settings(Bench& bench, const Comparison& row, std::span<const Setting> settings,
                      const StartValue& start_value, const StartPeer& start_peer) {
  auto lab = Lab::create();
  for (const Setting& setting : settings) {
    if (!wanted(bench, setting)) continue;
    Comparison comparison = row;
    comparison.id += setting.suffix;
    bench.progress(comparison.id);
    if (!lab) return leave_out(comparison.id, lab.error());
    const auto value_setup = lab->setup(setting);
    const auto peer_setup = lab->setup(setting);
    if (!value_setup || !peer_setup) {
      leave_out(comparison.id, value_setup ? peer_setup.error() : value_setup.error());
      continue;
    }
    auto value = start_value(*value_setup, setting);
    if (!value) {
      fail_row(bench, comparison.id, value.error(), comparison.goal);
      continue;
    }
    value->pause();
    auto peer = start_peer(*peer_setup, setting);
    if (!peer) {
      fail_row(bench, comparison.id, peer.error(), comparison.goal);
      continue;
    }
    compare(bench, comparison, *value, *peer);
  }
}

Result<Testpmd, std::string> start_swap(const ForwarderSetup& setup, const Setting&) {
  return Testpmd::start(setup, "5tswap");
}

Result<SluiceHost, std::string> start_inline(const ForwarderSetup& setup, const Setting& setting) {
  return SluiceHost::start({.setup = setup, .flow_count = setting.flow_count});
}

Result<SluiceHost, std::string> start_hop(const ForwarderSetup& setup, const Setting& setting) {
  return SluiceHost::start({.setup = setup,
                            .flow_count = setting.flow_count,
                            .service = kHeaderReader,
                            .run = "process",
                            .instance_core = setup.control_core});
}

Result<SluiceHost, std::string> start_hop_here(const ForwarderSetup& setup,
                                               const Setting& setting) {
  return SluiceHost::start({.setup = setup,
                            .flow_count = setting.flow_count,
                            .service = kHeaderReader,
                            .run = "process",
                            .instance_core = setup.forwarding_core});
}

}  // namespace

/// What the peers do on this machine, in this run: the yardstick beside which the rows stand.
void bench_peers(Bench& bench) {
  for (const char* mode : {"io", "macswap", "5tswap", "csum"}) {
    const std::string id = std::string{"dpdk.testpmd_"} + mode;
    bench.progress(id);
    if (const std::string why = why_no_testpmd(); !why.empty()) {
      leave_out(id, why);
      continue;
    }
    auto lab = Lab::create();
    const auto setup = lab ? lab->setup(kSettings[0]) : unexpected(lab.error());
    auto testpmd = setup ? Testpmd::start(*setup, mode) : unexpected(setup.error());
    if (!testpmd) {
      fail_row(bench, id, testpmd.error(), {});
      continue;
    }
    const auto ns = [&] { return packet_ns(*testpmd, window(bench)).value_or(0); };
    bench.add_plain(id, 1e3 / bench.repeat(ns), "Mpps");
  }
}

/// A chain of one inline function, flow table included.
void bench_inline(Bench& bench) {
  std::string why = why_no_host() + why_no_testpmd();
  if (!why.empty()) {
    leave_out("dpdk.inline_vs_testpmd", why);
  } else {
    compare_settings(bench,
                     {"dpdk.inline_vs_testpmd", "testpmd 5tswap", {.required = 0.6, .aim = 0.9}},
                     kSettings, start_inline, start_swap);
  }
  why = why_no_host() + why_no_open_vswitch();
  if (!why.empty()) return leave_out("dpdk.inline_vs_ovs", why);
  compare_settings(bench, {"dpdk.inline_vs_ovs", "ovs-dpdk", {.required = 2.0}},
                   kOpenVswitchSettings, start_inline,
                   [](const ForwarderSetup& setup, const Setting& setting) {
                     return OpenVswitch::start(setup, kWarmRounds * setting.flow_count);
                   });
}

/// A chain of one process, on the other core and on the same.
void bench_hop(Bench& bench) {
  const std::string why = why_no_host() + why_no_testpmd();
  if (!why.empty()) {
    leave_out("dpdk.hop_vs_testpmd", why);
    return leave_out("dpdk.hop_one_core", why);
  }
  compare_settings(bench, {"dpdk.hop_vs_testpmd", "testpmd 5tswap", {.required = 0.5, .aim = 0.8}},
                   kSettings, start_hop, start_swap);
  add_bounce(bench, "dpdk.hop_vs_testpmd");
  compare_settings(bench, {"dpdk.hop_one_core", "testpmd 5tswap", {.required = 0.35, .aim = 0.5}},
                   kSettings, start_hop_here, start_swap);
}

}  // namespace sluice::bench
