#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/packet/flow_key.hpp"
#include "core/result.hpp"
#include "tests/bench/ring_transfer.hpp"

/// What DPDK offers for the jobs of the ring and the flow table. Its headers, and the compiler
/// flags that they want, stay behind this one.
namespace sluice::bench {

/// rte_ring between one producer and one consumer, with descriptors by value in it.
[[nodiscard]] RingResult rte_ring_between_threads(std::uint64_t lap_count);
[[nodiscard]] RingResult rte_ring_in_one_thread(std::uint64_t lap_count);
/// The same with pointers in it, a quarter of the bytes: how DPDK programs use it.
[[nodiscard]] RingResult rte_ring_of_pointers_between_threads(std::uint64_t lap_count);
[[nodiscard]] RingResult rte_ring_of_pointers_in_one_thread(std::uint64_t lap_count);

/// Starts DPDK in this process, which cannot be done twice. The error says what is wrong.
[[nodiscard]] Result<void, std::string> start_eal(const std::vector<std::string>& arguments);

/// rte_hash with a number for each key. Needs start_eal().
class RteHash {
 public:
  /// Room for `key_count_max` keys.
  [[nodiscard]] static Result<RteHash, std::string> create(std::uint32_t key_count_max);
  /// @return False when there is no room.
  [[nodiscard]] bool insert(const FlowKey& key);
  /// The sum of the numbers of a batch of `keys`, at most 32, of which absent ones have -1.
  [[nodiscard]] std::uint64_t look_up(std::span<const FlowKey> keys) const;

 private:
  struct Free {
    void operator()(void* table) const;
  };
  explicit RteHash(void* table) : table_(table) {}
  std::unique_ptr<void, Free> table_;
};

}  // namespace sluice::bench
