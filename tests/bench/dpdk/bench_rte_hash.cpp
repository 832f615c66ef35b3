#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/process/table_memory.hpp"
#include "core/flow/flow_table.hpp"
#include "core/prng.hpp"
#include "tests/bench/dpdk/dpdk_groups.hpp"
#include "tests/bench/dpdk/rte_peers.hpp"
#include "tests/bench/dpdk/scratch.hpp"

namespace sluice::bench {
namespace {

constexpr std::size_t kBatch = 32;
constexpr std::size_t kHugePage = 2u << 20;
constexpr std::uint64_t kHugePageCount = 320;

enum class Pages : std::uint8_t { kOrdinary, kHuge };

/// The keys of flows 0, 1, 2 and so on, 32 at a time, as a worker has them: made from what it just
/// read, so in the nearest cache. An array of all would stream through memory beside the tables.
class Keys {
 public:
  Keys() {
    for (FlowKey& key : keys_) {
      key.destination_port = 443;
      key.ingress = 0;
      key.protocol = 6;
      key.ip_version = 4;
    }
  }
  [[nodiscard]] std::span<const FlowKey> of(std::span<const std::uint32_t> flows) noexcept {
    for (std::size_t i = 0; i < flows.size(); ++i) {
      const std::uint64_t bits = (flows[i] + 1) * 0x9e3779b97f4a7c15u;
      const std::uint64_t address = bits >> 32;
      std::memcpy(keys_[i].source.data(), &address, sizeof address);
      keys_[i].source_port = static_cast<std::uint16_t>(flows[i]);
    }
    return {keys_.data(), flows.size()};
  }

 private:
  std::array<FlowKey, kBatch> keys_{};
};

/// Memory of huge pages, until the process ends. Empty when there is none.
std::span<std::byte> map_huge(std::size_t size) {
  const std::size_t rounded = (size + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = mmap(nullptr, rounded, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return {};
  return {static_cast<std::byte*>(memory), rounded};
}

std::unique_ptr<FlowTable> make_table(std::uint32_t flow_count, Pages pages) {
  const FlowTable::Options options{.flow_count_max = flow_count, .pin_count_max = 8};
  const std::size_t size = FlowTable::storage_bytes(options);
  // As a host has it, until the process ends.
  static std::vector<TableMemory> tables;
  const std::span<std::byte> storage =
      pages == Pages::kOrdinary ? tables.emplace_back(size).bytes() : map_huge(size);
  return storage.empty() ? nullptr : std::make_unique<FlowTable>(options, storage);
}

/// Gives `look_up` the keys of `flows`, and adds up what comes back.
template <class LookUp>
std::uint64_t for_all(std::span<const std::uint32_t> flows, const LookUp& look_up) {
  Keys keys;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + kBatch <= flows.size(); i += kBatch) {
    sum += look_up(keys.of(flows.subspan(i, kBatch)));
  }
  return sum;
}

std::uint64_t look_up(FlowTable& table, std::span<const FlowKey> keys) {
  std::array<std::uint32_t, kBatch> slots;
  table.lookup(keys, slots, Instant{});
  return std::accumulate(slots.begin(), slots.end(), std::uint64_t{0});
}

Result<Pair, std::string> measure(Bench& bench, std::uint32_t flow_count, Pages pages) {
  // DPDK keeps the main thread on the core that it is told; the smaller half of the table is its.
  std::vector<std::string> words{"--no-pci", "--no-telemetry", "--log-level=lib.eal:error", "-l",
                                 std::to_string(processors().front())};
  if (pages == Pages::kHuge) {
    words.insert(words.end(), {"--in-memory", "-m", "256"});
  } else {
    words.insert(words.end(), {"--no-huge", "--no-shconf", "-m", "512"});
  }
  if (auto started = start_eal(words); !started) return unexpected(started.error());
  auto hash = RteHash::create(flow_count + flow_count / 8);
  if (!hash) return unexpected(hash.error());
  const auto table = make_table(flow_count, pages);
  if (table == nullptr) return unexpected<std::string>("no huge pages for the flow table");

  Keys keys;
  for (std::uint32_t flow = 0; flow < flow_count; ++flow) {
    const FlowKey& key = keys.of({&flow, 1}).front();
    if (table->insert(key, Instant{}) == kNoSlot || !hash->insert(key)) {
      return unexpected("a table was full after " + std::to_string(flow) + " keys");
    }
  }
  const std::size_t lookups = bench.pick<std::size_t>(kBatch * 10, kBatch * 8192, kBatch * 32768);
  Prng prng{1};
  std::vector<std::uint32_t> flows(lookups);
  for (std::uint32_t& flow : flows) flow = static_cast<std::uint32_t>(prng.below(flow_count));
  const auto each_ns = [&](const auto& look_up_batch) {
    std::uint64_t sum = 0;
    const double ns = time_ns([&] { sum = for_all(flows, look_up_batch); });
    bench.keep(sum);
    return ns / static_cast<double>(lookups);
  };
  using Batch = std::span<const FlowKey>;
  return bench.take_turns(
      [&] { return each_ns([&](Batch batch) { return look_up(*table, batch); }); },
      [&] { return each_ns([&](Batch batch) { return hash->look_up(batch); }); });
}

/// Measures in a process of its own: DPDK starts once in a process, with one kind of memory, and
/// keeps it. @return Nothing when it failed; it has said why.
std::optional<Pair> measure_apart(Bench& bench, std::uint32_t flow_count, Pages pages) {
  int ends[2];
  if (pipe(ends) != 0) return std::nullopt;
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    const auto pair = measure(bench, flow_count, pages);
    if (!pair) {
      std::fprintf(stderr, "flow.lookup_vs_rte_hash: %s\n", pair.error().c_str());
      _exit(1);
    }
    _exit(write(ends[1], &*pair, sizeof *pair) == sizeof *pair ? 0 : 1);
  }
  close(ends[1]);
  Pair pair;
  const bool came = child > 0 && read(ends[0], &pair, sizeof pair) == sizeof pair;
  close(ends[0]);
  if (child > 0) (void)waitpid(child, nullptr, 0);
  if (!came) return std::nullopt;
  return pair;
}

}  // namespace

/// Batched lookup of keys that are all there, beside rte_hash_lookup_bulk with the same keys and
/// memory of the same kind. Both hash the key themselves; ours also marks the flow as seen.
void bench_rte_hash(Bench& bench) {
  const std::uint32_t flow_count = bench.pick<std::uint32_t>(1000, 1'000'000, 1'000'000);
  const auto add = [&](const char* id, Pages pages) {
    bench.progress(id);
    const auto pair = measure_apart(bench, flow_count, pages);
    if (!pair) return;
    bench.add_lower_is_better(id, "ns", "rte_hash bulk", *pair, {.required = 1.5});
  };
  add("flow.lookup_vs_rte_hash", Pages::kOrdinary);
  auto scratch = Scratch::create();
  const auto reserved = scratch ? scratch->reserve_huge_pages(kHugePageCount)
                                : Result<void, std::string>{unexpected(scratch.error())};
  if (!reserved) {
    bench.progress("flow.lookup_vs_rte_hash.huge");
    std::fprintf(stderr, "flow.lookup_vs_rte_hash.huge: left out: %s\n", reserved.error().c_str());
    return;
  }
  add("flow.lookup_vs_rte_hash.huge", Pages::kHuge);
}

}  // namespace sluice::bench
