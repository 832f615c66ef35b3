#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include <algorithm>
#include <array>

#include "tests/bench/dpdk/rte_peers.hpp"

namespace sluice::bench {
namespace {

constexpr std::size_t kBatch = 32;

rte_hash* as_table(void* table) {
  return static_cast<rte_hash*>(table);
}

}  // namespace

Result<void, std::string> start_eal(const std::vector<std::string>& arguments) {
  std::vector<std::string> words{"sluice-bench-dpdk"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (rte_eal_init(static_cast<int>(words.size()), argv.data()) >= 0) return {};
  return unexpected("DPDK does not start: " + std::string{rte_strerror(rte_errno)});
}

Result<RteHash, std::string> RteHash::create(std::uint32_t key_count_max) {
  rte_hash_parameters parameters{};
  parameters.name = "peer";
  parameters.entries = key_count_max;
  parameters.key_len = sizeof(FlowKey);
  parameters.hash_func = rte_hash_crc;  // Its own default where the processor has the instruction.
  parameters.socket_id = 0;
  void* table = rte_hash_create(&parameters);
  if (table != nullptr) return RteHash{table};
  return unexpected("rte_hash_create: " + std::string{rte_strerror(rte_errno)});
}

bool RteHash::insert(const FlowKey& key) {
  return rte_hash_add_key(as_table(table_.get()), &key) >= 0;
}

std::uint64_t RteHash::look_up(std::span<const FlowKey> keys) const {
  std::array<const void*, kBatch> batch;
  std::array<std::int32_t, kBatch> positions;
  const std::size_t count = std::min(keys.size(), kBatch);
  for (std::size_t i = 0; i < count; ++i) batch[i] = &keys[i];
  rte_hash_lookup_bulk(as_table(table_.get()), batch.data(), static_cast<std::uint32_t>(count),
                       positions.data());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<std::uint64_t>(positions[i]);
  return sum;
}

void RteHash::Free::operator()(void* table) const {
  rte_hash_free(as_table(table));
}

}  // namespace sluice::bench
