#include <tsl/robin_map.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "core/flow/flow_table.hpp"
#include "core/prng.hpp"
#include "tests/bench/bench_groups.hpp"

namespace sluice::bench {
namespace {

constexpr std::size_t kBatch = 32;

/// The keyed hash that the flow table uses, for the peer.
struct Hasher {
  HashKey key;
  std::size_t operator()(const FlowKey& flow_key) const noexcept { return hash(flow_key, key); }
};
/// The least that a map could give: the number of the slot.
using RobinMap = tsl::robin_map<FlowKey, std::uint32_t, Hasher>;

FlowKey random_key(Prng& prng) {
  FlowKey key;
  const std::uint64_t bits = prng.next();
  for (std::size_t i = 0; i < 4; ++i) {
    key.source[i] = static_cast<std::uint8_t>(bits >> (8 * i));
    key.destination[i] = static_cast<std::uint8_t>(bits >> (8 * i + 32));
  }
  key.source_port = static_cast<std::uint16_t>(prng.next());
  key.destination_port = 443;
  key.ingress = 0;
  key.protocol = 6;
  key.ip_version = 4;
  return key;
}

/// Both tables with the same flows.
class Tables {
 public:
  Tables(std::uint32_t flow_count, const HashKey& hash_key)
      : table_({.flow_count_max = flow_count, .pin_count_max = 8, .hash_key = hash_key}),
        map_(0, Hasher{hash_key}) {
    map_.reserve(flow_count);
    for (std::uint32_t i = 0; i < flow_count; ++i) {
      keys_.push_back(random_key(prng_));
      const std::uint32_t slot = table_.insert(keys_.back(), Instant{});
      map_.emplace(keys_.back(), slot);
    }
  }

  /// `count` keys in random order, of which `hit_percent` in 100 are in the tables.
  std::vector<FlowKey> queries(std::size_t count, std::uint64_t hit_percent) {
    std::vector<FlowKey> result;
    for (std::size_t i = 0; i < count; ++i) {
      const bool hit = prng_.below(100) < hit_percent;
      result.push_back(hit ? keys_[prng_.below(keys_.size())] : random_key(prng_));
    }
    return result;
  }

  /// With packed keys, since the data path reads them so from the frames.
  double table_ns(const std::vector<FlowKey>& queries, std::uint64_t passes, Bench& bench) {
    std::vector<PackedKey> packed(queries.size());
    std::transform(queries.begin(), queries.end(), packed.begin(), pack);
    std::array<std::uint32_t, kBatch> slots;
    std::uint64_t sum = 0;
    const double ns = time_ns([&] {
      for (std::uint64_t pass = 0; pass < passes; ++pass) {
        for (std::size_t i = 0; i + kBatch <= packed.size(); i += kBatch) {
          table_.lookup(std::span{packed}.subspan(i, kBatch), slots, Instant{});
          for (const std::uint32_t slot : slots) sum += slot;
        }
      }
    });
    bench.keep(sum);
    return ns / static_cast<double>(passes * queries.size());
  }

  double map_ns(const std::vector<FlowKey>& queries, std::uint64_t passes, Bench& bench) const {
    std::uint64_t sum = 0;
    const double ns = time_ns([&] {
      for (std::uint64_t pass = 0; pass < passes; ++pass) {
        for (const FlowKey& key : queries) {
          const auto found = map_.find(key);
          sum += found == map_.end() ? kNoSlot : found->second;
        }
      }
    });
    bench.keep(sum);
    return ns / static_cast<double>(passes * queries.size());
  }

 private:
  Prng prng_{1};
  std::vector<FlowKey> keys_;
  FlowTable table_;
  RobinMap map_;
};

}  // namespace

/// Batched lookup beside tsl::robin_map with the same keys and hash. The peer does less: it finds a
/// slot number, while the table also marks the flow as seen.
void bench_flow(Bench& bench) {
  struct Size {
    const char* name;
    std::uint32_t flow_count;
  };
  constexpr Size kSizes[] = {{"1k", 1000}, {"64k", 65'536}, {"1m", 1'000'000}, {"4m", 4'000'000}};
  const std::size_t lookups = bench.pick<std::size_t>(kBatch * 10, kBatch * 8192, kBatch * 32768);
  for (const auto& [name, flow_count] : kSizes) {
    if (bench.effort() == Effort::kSmoke && flow_count > 65'536) continue;
    std::unique_ptr<Tables> tables;
    for (const std::uint64_t hit_percent : {100u, 50u, 0u}) {
      const std::string id =
          std::string{"flow.lookup_vs_robin."} + name + "." + std::to_string(hit_percent);
      bench.progress(id);
      if (tables == nullptr) tables = std::make_unique<Tables>(flow_count, HashKey{});
      // The queries must not crowd the tables out of the caches: few for small tables.
      const std::size_t count = std::min<std::size_t>(lookups, flow_count < 65'536 ? 4096 : ~0u);
      const std::vector<FlowKey> queries = tables->queries(count, hit_percent);
      const std::uint64_t passes = lookups / count;
      const Pair pair = bench.take_turns([&] { return tables->table_ns(queries, passes, bench); },
                                         [&] { return tables->map_ns(queries, passes, bench); });
      const bool judged = flow_count == 1'000'000;
      const bool main_row = judged && hit_percent == 100;
      bench.add_lower_is_better(main_row ? "flow.lookup_vs_robin" : id, "ns", "tsl::robin_map",
                                pair, judged ? Goal{.required = 1.5} : Goal{});
    }
  }
}

}  // namespace sluice::bench
