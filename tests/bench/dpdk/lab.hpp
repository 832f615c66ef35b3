#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/result.hpp"
#include "tests/bench/bench.hpp"
#include "tests/bench/dpdk/forwarder.hpp"
#include "tests/bench/dpdk/scratch.hpp"

namespace sluice::bench {

/// What programs that forward are compared on. net_pcap keeps every packet of its file in a buffer,
/// so there are twice as many buffers as flows.
struct Setting {
  const char* suffix;  ///< Of the row's id.
  std::uint32_t flow_count;
  bool huge_pages;
};
inline constexpr Setting kSettings[] = {
    {"", 4096, false}, {".64k", 65'536, false}, {".huge", 4096, true}, {".64k_huge", 65'536, true}};
/// Open vSwitch has not enough buffers for 64 k.
inline constexpr Setting kOpenVswitchSettings[] = {
    {"", 4096, false}, {".16k", 16'384, false}, {".huge", 4096, true}, {".16k_huge", 16'384, true}};

/// Where the programs of a group run: folders, captures, memory and cores.
class Lab {
 public:
  /// The error says in words what this machine lacks.
  [[nodiscard]] static Result<Lab, std::string> create();
  /// A setup of its own for one program.
  [[nodiscard]] Result<ForwarderSetup, std::string> setup(const Setting& setting);

 private:
  explicit Lab(Scratch scratch) : scratch_(std::move(scratch)) {}
  Scratch scratch_;
  int folder_count_ = 0;
};

/// Of kSettings the first in a smoke run, those with few flows in a quick one.
[[nodiscard]] bool wanted(const Bench& bench, const Setting& setting);

/// Says on stderr why there is no such row.
void leave_out(const std::string& id, const std::string& why);
/// A row whose value could not be taken: it counts as missed.
void fail_row(Bench& bench, const std::string& id, const std::string& why, const Goal& goal);

/// A row of packets a second, of two programs in turn.
struct Comparison {
  std::string id;
  std::string peer_name;
  Goal goal{};
};
void compare(Bench& bench, const Comparison& comparison, Forwarder& value, Forwarder& peer);
/// How long one look at a forwarder lasts.
[[nodiscard]] std::chrono::milliseconds window(const Bench& bench);
/// Adds how long a cache line takes between the two cores now, as ID.bounce.
void add_bounce(Bench& bench, const std::string& id);

}  // namespace sluice::bench
