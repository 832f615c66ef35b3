#include "tests/bench/dpdk/lab.hpp"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>

#include "tests/bench/dpdk/pcap_file.hpp"

namespace sluice::bench {
namespace {

namespace fs = std::filesystem;

/// For two programs with 131,072 buffers each, and what else they keep.
constexpr std::uint64_t kHugePagesFew = 256;
constexpr std::uint64_t kHugePagesMany = 768;
constexpr std::uint32_t kFlowsFew = 16'384;

}  // namespace

Result<Lab, std::string> Lab::create() {
  if (processors().size() < 2) return unexpected<std::string>("it needs two processors");
  auto scratch = Scratch::create();
  if (!scratch) return unexpected(scratch.error());
  return Lab{std::move(*scratch)};
}

Result<ForwarderSetup, std::string> Lab::setup(const Setting& setting) {
  ForwarderSetup setup;
  setup.folder = scratch_.folder() + "/" + std::to_string(++folder_count_);
  setup.capture = scratch_.folder() + "/" + std::to_string(setting.flow_count) + ".pcap";
  setup.buffer_count = 2 * setting.flow_count;
  setup.huge_pages = setting.huge_pages;
  setup.forwarding_core = processors()[0];
  setup.control_core = processors()[1];
  std::error_code error;
  fs::create_directory(setup.folder, error);
  if (error) return unexpected(setup.folder + ": " + error.message());
  if (!fs::exists(setup.capture) && !write_capture(setup.capture, setting.flow_count)) {
    return unexpected(setup.capture + ": cannot be written");
  }
  if (setting.huge_pages) {
    const auto count = setting.flow_count <= kFlowsFew ? kHugePagesFew : kHugePagesMany;
    if (auto reserved = scratch_.reserve_huge_pages(count); !reserved) {
      return unexpected(reserved.error());
    }
  }
  return setup;
}

bool wanted(const Bench& bench, const Setting& setting) {
  switch (bench.effort()) {
    case Effort::kSmoke:
      return setting.suffix[0] == '\0';
    case Effort::kQuick:
      return setting.flow_count == kSettings[0].flow_count;
    case Effort::kFull:
      break;
  }
  return true;
}

void leave_out(const std::string& id, const std::string& why) {
  std::fprintf(stderr, "%s: left out: %s\n", id.c_str(), why.c_str());
}

void fail_row(Bench& bench, const std::string& id, const std::string& why, const Goal& goal) {
  std::fprintf(stderr, "%s: failed: %s\n", id.c_str(), why.c_str());
  bench.add({.id = id, .required = goal.required, .aim = goal.aim});
}

std::chrono::milliseconds window(const Bench& bench) {
  return std::chrono::milliseconds{bench.pick(5, 40, 250)};
}

void compare(Bench& bench, const Comparison& comparison, Forwarder& value, Forwarder& peer) {
  std::optional<std::string> problem;
  const auto measure = [&](Forwarder& forwarder) {
    if (problem) return 1.0;
    const auto ns = packet_ns(forwarder, window(bench));
    if (!ns) problem = ns.error();
    return ns.value_or(1.0);
  };
  value.pause();
  peer.pause();
  const Pair pair = bench.take_turns([&] { return measure(value); }, [&] { return measure(peer); });
  if (problem) return fail_row(bench, comparison.id, *problem, comparison.goal);
  bench.add({.id = comparison.id,
             .value = 1e3 / pair.value,
             .unit = "Mpps",
             .peer = comparison.peer_name,
             .peer_value = 1e3 / pair.peer,
             .ratio = pair.peer / pair.value,
             .required = comparison.goal.required,
             .aim = comparison.goal.aim});
}

void add_bounce(Bench& bench, const std::string& id) {
  const std::uint64_t count = bench.pick<std::uint64_t>(1000, 200'000, 500'000);
  if (const auto ns = cache_line_bounce_ns(count)) bench.add_plain(id + ".bounce", *ns, "ns");
}

}  // namespace sluice::bench
