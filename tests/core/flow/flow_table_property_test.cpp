#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "core/flow/flow_table.hpp"

// Random operations against plain maps. The seed is printed by rapidcheck; RC_PARAMS="seed=N"
// repeats it.
namespace sluice {
namespace {

/// Of four in a row one is plain, and the others differ only in what stands behind the first part
/// of a PackedKey.
FlowKey key_number(std::uint32_t number) {
  FlowKey key;
  key.source[0] = static_cast<std::uint8_t>(number / 4);
  key.ip_version = number / 4 % 2 == 0 ? 4 : 6;
  if (number % 4 == 1) key.vlan_outer = 1;
  if (number % 4 > 1) key.source[15] = static_cast<std::uint8_t>(number % 4);
  return key;
}

/// What the table should know, by key number and by slot, without anything clever.
class Oracle {
 public:
  struct Flow {
    std::uint32_t slot = 0;
    std::int64_t seen = 0;
    std::int64_t closes = -1;  ///< Or -1.
    std::uint32_t tag = 0;
  };
  explicit Oracle(const FlowTable::Options& options) : options_(options) {}

  std::map<std::uint32_t, Flow> flows;
  std::map<std::uint32_t, std::int64_t> resting;  ///< Slot to the end of its rest.

  [[nodiscard]] std::int64_t due(const Flow& flow) const {
    return flow.closes >= 0 ? flow.closes : flow.seen + options_.idle_timeout.count();
  }
  [[nodiscard]] bool has_room(std::int64_t now) {
    std::erase_if(resting, [&](const auto& each) { return each.second <= now; });
    return flows.size() + resting.size() < options_.flow_count_max;
  }
  [[nodiscard]] std::uint32_t key_of(std::uint32_t slot) const {
    for (const auto& [key, flow] : flows) {
      if (flow.slot == slot) return key;
    }
    return ~0u;
  }
  void erase(std::uint32_t key, std::int64_t now) {
    resting[flows.at(key).slot] = now + options_.rest_time.count();
    flows.erase(key);
  }

 private:
  FlowTable::Options options_;
};

class Machine {
 public:
  explicit Machine(const FlowTable::Options& options)
      : options_(options), table_(options), oracle_(options) {}

  void step() {
    if (*rc::gen::arbitrary<bool>()) now_ += *rc::gen::inRange<std::int64_t>(0, time_step_max());
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
      case 1:
      case 2:
        return insert(*key());
      case 3:
      case 4:
        return lookup(*rc::gen::container<std::vector<std::uint32_t>>(key()));
      case 5:
        return close(*key());
      case 6:
        return erase(*key());
      default:
        return expire();
    }
  }

  void check_all() {
    RC_ASSERT(table_.size() == oracle_.flows.size());
    std::set<std::uint32_t> slots;
    for (const auto& [number, flow] : oracle_.flows) {
      slots.insert(flow.slot);
      RC_ASSERT(table_.key(flow.slot) == key_number(number));
      RC_ASSERT(table_.entry(flow.slot).sticky_tag == flow.tag);
      RC_ASSERT(table_.entry(flow.slot).last_seen_ns == static_cast<std::uint64_t>(flow.seen));
      for (const Pin pin : table_.pins(flow.slot)) RC_ASSERT(pin.instance == flow.tag % 1000);
    }
    RC_ASSERT(slots.size() == oracle_.flows.size());
    for (std::uint32_t slot = 0; slot < table_.capacity() + 2; ++slot) {
      RC_ASSERT(table_.live(slot) == slots.contains(slot));
    }
  }

 private:
  [[nodiscard]] static rc::Gen<std::uint32_t> key() { return rc::gen::inRange(0u, 60u); }
  /// Now and then longer than the whole wheel spans.
  [[nodiscard]] std::int64_t time_step_max() const {
    return options_.idle_timeout.count() * *rc::gen::element(1, 1, 1, 1, 10) / 2 + 2;
  }
  [[nodiscard]] Instant now() const { return Instant{Duration{now_}}; }

  void insert(std::uint32_t number) {
    if (oracle_.flows.contains(number)) return lookup({number});
    const bool room = oracle_.has_room(now_);
    const std::uint32_t slot = table_.insert(key_number(number), now());
    RC_ASSERT((slot != kNoSlot) == room);
    if (!room) return;
    RC_ASSERT(slot < table_.capacity());
    RC_ASSERT(oracle_.key_of(slot) == ~0u);
    RC_ASSERT(!oracle_.resting.contains(slot));
    const std::uint32_t tag = ++tag_last_;
    table_.entry(slot).sticky_tag = tag;
    for (Pin& pin : table_.pins(slot)) {
      RC_ASSERT(!pin.is_set());
      pin.instance = static_cast<std::uint16_t>(tag % 1000);
    }
    oracle_.flows[number] = {.slot = slot, .seen = now_, .closes = -1, .tag = tag};
  }

  void lookup(const std::vector<std::uint32_t>& numbers) {
    std::vector<FlowKey> keys;
    for (const std::uint32_t number : numbers) keys.push_back(key_number(number));
    std::vector<std::uint32_t> slots(keys.size(), 17);
    table_.lookup(keys, slots, now());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto flow = oracle_.flows.find(numbers[i]);
      RC_ASSERT(slots[i] == (flow == oracle_.flows.end() ? kNoSlot : flow->second.slot));
      if (flow != oracle_.flows.end()) flow->second.seen = now_;
    }
  }

  void close(std::uint32_t number) {
    const auto flow = oracle_.flows.find(number);
    if (flow == oracle_.flows.end()) return;
    table_.close(flow->second.slot, now());
    if (flow->second.closes < 0) flow->second.closes = now_ + options_.closing_time.count();
  }

  void erase(std::uint32_t number) {
    const auto flow = oracle_.flows.find(number);
    if (flow == oracle_.flows.end()) return;
    table_.erase(flow->second.slot, now());
    oracle_.erase(number, now_);
  }

  void expire() {
    const auto budget = *rc::gen::inRange(0u, 200u);
    std::vector<std::uint32_t> out(*rc::gen::inRange<std::size_t>(0, 100));
    const std::size_t out_size = out.size();
    out.resize(table_.expire(now(), budget, out));
    RC_ASSERT(out.size() <= budget);
    std::set<std::uint32_t> reported;
    for (const std::uint32_t slot : out) {
      RC_ASSERT(reported.insert(slot).second);
      const std::uint32_t number = oracle_.key_of(slot);
      RC_ASSERT(number != ~0u);
      RC_ASSERT(oracle_.due(oracle_.flows.at(number)) <= now_);
    }
    // Nothing late is left behind if neither the budget nor the space ran out. After a silence
    // longer than the wheel, a flow may be looked at several times in one call.
    if (budget >= 4 * oracle_.flows.size() && out.size() < out_size) {
      for (const auto& [number, flow] : oracle_.flows) {
        RC_ASSERT(reported.contains(flow.slot) ||
                  oracle_.due(flow) + table_.granularity().count() > now_);
      }
    }
    for (const std::uint32_t slot : reported) {
      if (*rc::gen::inRange(0, 4) == 0) continue;  // The caller may leave some.
      const std::uint32_t number = oracle_.key_of(slot);
      table_.erase(slot, now());
      oracle_.erase(number, now_);
    }
  }

  FlowTable::Options options_;
  FlowTable table_;
  Oracle oracle_;
  std::int64_t now_ = 0;
  std::uint32_t tag_last_ = 0;
};

RC_GTEST_PROP(FlowTable, EqualsPlainMapsUnderRandomOperations, ()) {
  const auto time = [](int max) { return Duration{*rc::gen::inRange(1, max)}; };
  Machine machine{{.flow_count_max = *rc::gen::inRange(1u, 50u),
                   .idle_timeout = time(*rc::gen::element(3, 1000, 1000000)),
                   .closing_time = time(1000),
                   .rest_time = time(1000) - Duration{1},
                   .pin_count_max = *rc::gen::inRange(0u, 12u),
                   .hash_key = {*rc::gen::arbitrary<std::uint64_t>(), 5}}};
  const int steps = *rc::gen::inRange(1, 400);
  for (int i = 0; i < steps; ++i) machine.step();
  machine.check_all();
}

// With a call at least every granularity() and enough budget: no flow is more than that late, and
// of two reported in turn the later one is not due more than that earlier.
RC_GTEST_PROP(FlowTable, ExpiresEarliestFirstAndInTime, ()) {
  const FlowTable::Options options{.flow_count_max = 64,
                                   .idle_timeout = Duration{*rc::gen::inRange(1, 100'000)},
                                   .closing_time = Duration{*rc::gen::inRange(1, 100'000)},
                                   .rest_time = Duration{0}};
  FlowTable table{options};
  const std::int64_t granularity = table.granularity().count();
  std::int64_t now = *rc::gen::inRange<std::int64_t>(0, 1'000'000'000'000);
  std::map<std::uint32_t, std::int64_t> due;  // Of each live slot.
  std::set<std::uint32_t> closed;
  std::int64_t due_last = 0;
  for (std::uint32_t number = 0; number < 500; ++number) {
    now += *rc::gen::inRange<std::int64_t>(0, granularity + 1);
    const Instant instant{Duration{now}};
    const std::uint32_t slot = table.insert(key_number(number), instant);
    if (slot != kNoSlot) due[slot] = now + options.idle_timeout.count();
    const auto other = *rc::gen::inRange(0u, 64u);
    if (due.contains(other) && !closed.contains(other)) {
      if (*rc::gen::inRange(0, 4) == 0) {
        table.close(other, instant);
        closed.insert(other);
        due[other] = now + options.closing_time.count();
      } else {
        std::uint32_t found = 0;
        const FlowKey key = table.key(other);
        table.lookup({&key, 1}, {&found, 1}, instant);
        due[other] = now + options.idle_timeout.count();
      }
    }
    std::array<std::uint32_t, 64> out;
    const std::uint32_t count = table.expire(instant, ~0u, out);
    for (std::uint32_t i = 0; i < count; ++i) {
      RC_ASSERT(due.at(out[i]) <= now);
      RC_ASSERT(due.at(out[i]) + granularity > due_last);
      due_last = due.at(out[i]);
      table.erase(out[i], instant);
      due.erase(out[i]);
      closed.erase(out[i]);
    }
    for (const auto& [left, when] : due) RC_ASSERT(when + granularity > now);
  }
}

}  // namespace
}  // namespace sluice
