#pragma once

#include <cstdint>
#include <vector>

#include "core/flow/flow_match.hpp"
#include "core/packet/flow_key.hpp"
#include "core/units.hpp"

namespace sluice {

/// Ordered rules that name the chain of a flow by its first packet: the first rule that matches
/// wins.
///
/// Immutable, so that all workers may share one. Each field of the key has an index from its values
/// to the set of rules that accept them; the sets' intersection has the answer as its lowest
/// member. So 1,000 rules cost a few binary searches and 16 words a field instead of 1,000
/// comparisons.
class Classifier {
 public:
  static constexpr std::uint32_t kRuleCountMax = 4096;

  struct Rule {
    FlowMatch match{};
    ChainId chain = kNoChain;
  };

  Classifier() = default;
  /// At most kRuleCountMax rules (checked).
  explicit Classifier(const std::vector<Rule>& rules);

  /// The chain of the first rule that matches `key`; kNoChain if none does.
  [[nodiscard]] ChainId match(const FlowKey& key) const noexcept;

 private:
  /// For one field: which rules accept a value.
  template <class Value>
  struct FieldIndex {
    std::vector<Value> starts;        ///< Sorted; a segment lasts until the next start.
    std::vector<std::uint64_t> sets;  ///< Of each segment, a bit a rule.
  };
  struct Fields;  ///< A key's or a rule's fields, in the form that the indices order.
  template <class Value>
  struct Interval;

  template <class Value>
  [[nodiscard]] static FieldIndex<Value> build(const std::vector<Interval<Value>>& rules,
                                               std::size_t words);
  template <class Value>
  [[nodiscard]] static const std::uint64_t* set_of(const FieldIndex<Value>& index, Value value,
                                                   std::size_t words) noexcept;

  std::size_t words_ = 0;  ///< Words of a set.
  std::vector<ChainId> chains_;
  FieldIndex<std::uint32_t> version_;
  FieldIndex<std::uint32_t> protocol_;
  FieldIndex<std::uint32_t> ingress_;
  FieldIndex<std::uint32_t> vlan_;
  FieldIndex<std::uint32_t> source_port_;
  FieldIndex<std::uint32_t> destination_port_;
  FieldIndex<Uint128> source_;
  FieldIndex<Uint128> destination_;
};

}  // namespace sluice
