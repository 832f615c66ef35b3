#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/host/ewma.hpp"
#include "scaling/autoscaler.hpp"

// The plan in a closed loop with a small model of queues, for what must hold over time. The seed is
// printed by rapidcheck; RC_PARAMS="seed=N" repeats it.
namespace sluice {
namespace {

using std::chrono::milliseconds;
using Kind = ScaleAction::Kind;

constexpr ServiceId kService{0};
constexpr Duration kSamplePeriod = milliseconds{10};

/// A service under a load that does not change, as a fluid: its instances share the load evenly,
/// one can carry 1,000,000 ppm, and what it cannot carry fills its ring in 20 ms and then is
/// dropped.
class FluidService {
 public:
  struct Options {
    std::uint64_t load_ppm = 0;  ///< Of one instance's capacity.
    std::uint32_t cores_free = 8;
    std::uint32_t start_samples = 3;  ///< How long an instance starts.
    std::uint32_t drain_samples = 20;
  };
  explicit FluidService(const Options& options) : options_(options) {}

  LoadSample sample() {
    now_ += kSamplePeriod;
    LoadSample result{.when = now_, .host = {}, .cores_free = options_.cores_free, .instances = {}};
    const std::uint64_t share = options_.load_ppm / std::max<std::size_t>(1, count_running());
    std::erase_if(instances_, [&](const Instance& instance) {
      const bool over = instance.state == InstanceState::kDraining && instance.age == 0;
      if (over) ++options_.cores_free;
      return over;
    });
    for (Instance& instance : instances_) {
      step(instance, share);
      result.instances.push_back(describe(instance, share));
    }
    return result;
  }

  void apply(const std::vector<ScaleAction>& actions) {
    for (const ScaleAction& action : actions) {
      if (action.kind == Kind::kStart) {
        RC_ASSERT(options_.cores_free > 0u);
        --options_.cores_free;
        instances_.push_back({.id = InstanceId{next_id_++}, .age = options_.start_samples});
      } else if (action.kind == Kind::kDrain) {
        for (Instance& instance : instances_) {
          if (instance.id != action.instance) continue;
          RC_ASSERT(instance.state == InstanceState::kRunning);
          instance.state = InstanceState::kDraining;
          instance.age = options_.drain_samples;
        }
      }
    }
  }

  void kill(std::size_t which) {
    instances_.erase(instances_.begin() + static_cast<std::ptrdiff_t>(which % instances_.size()));
    ++options_.cores_free;
  }
  void set_load(std::uint64_t load_ppm) { options_.load_ppm = load_ppm; }
  [[nodiscard]] std::size_t count(InstanceState state) const {
    return static_cast<std::size_t>(std::ranges::count(instances_, state, &Instance::state));
  }
  [[nodiscard]] std::size_t count_running() const { return count(InstanceState::kRunning); }
  [[nodiscard]] std::size_t count_serving() const {
    return count_running() + count(InstanceState::kStarting);
  }

 private:
  struct Instance {
    InstanceId id;
    InstanceState state = InstanceState::kStarting;
    std::uint32_t age = 0;  ///< Samples until it changes its state by itself.
    std::uint64_t queue_ppm = 0;
    bool drops = false;
    Ewma occupancy{milliseconds{50}};
  };

  void step(Instance& instance, std::uint64_t share) {
    if (instance.age > 0) --instance.age;
    if (instance.state == InstanceState::kStarting && instance.age == 0) {
      instance.state = InstanceState::kRunning;
    }
    if (instance.state != InstanceState::kRunning) return;
    const std::uint64_t filled = instance.queue_ppm + share / 2;
    const std::uint64_t left = filled > 500'000 ? filled - 500'000 : 0;
    instance.drops = left > kPpmOne.value;
    instance.queue_ppm = std::min<std::uint64_t>(left, kPpmOne.value);
    instance.occupancy.update(Ppm{static_cast<std::uint32_t>(instance.queue_ppm)}, kSamplePeriod);
  }

  static InstanceSample describe(const Instance& instance, std::uint64_t share) {
    InstanceSample result;
    result.instance = instance.id;
    result.service = kService;
    result.state = instance.state;
    if (instance.state != InstanceState::kRunning) return result;
    result.occupancy = instance.occupancy.value();
    result.load = Ppm{static_cast<std::uint32_t>(std::min<std::uint64_t>(share, kPpmOne.value))};
    result.packet_count = 1'000;
    result.drop_count = instance.drops ? 100 : 0;
    result.flow_count = static_cast<std::uint32_t>(share / 1'000);
    return result;
  }

  Options options_;
  Instant now_{};
  std::uint16_t next_id_ = 0;
  std::vector<Instance> instances_;
};

/// Uniform in [low, high), also in the first cases, which rapidcheck would keep small.
template <class T>
T any(T low, T high) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(low, high));
}

ScalePolicy any_policy() {
  ScalePolicy policy;
  policy.instance_count_min = any(1u, 4u);
  policy.instance_count_max = policy.instance_count_min + any(0u, 8u);
  policy.step = any(1u, 4u);
  policy.cooldown = milliseconds{any(0, 2'000)};
  policy.down_for = milliseconds{any(100, 3'000)};
  return policy;
}

FluidService::Options any_service() {
  return {.load_ppm = any<std::uint64_t>(0, 12'000'000),
          .cores_free = any(4u, 16u),
          .start_samples = any(0u, 50u),
          .drain_samples = any(0u, 300u)};
}

struct Loop {
  ServicePolicy policy;
  FluidService service;
  AutoscalerState state{};

  std::vector<ScaleAction> turn() {
    ScalePlan result = plan(state, {&policy, 1}, service.sample());
    state = std::move(result.state);
    service.apply(result.actions);
    return result.actions;
  }
};

TEST(AutoscalerProperty, TheLimitsHoldUnderAnyLoad) {
  EXPECT_TRUE(rc::check("min <= serving <= max, at most one drains", [] {
    Loop loop{{kService, any_policy()}, FluidService{any_service()}};
    const ScalePolicy& policy = loop.policy.policy;
    for (int phase = 0; phase < 6; ++phase) {
      loop.service.set_load(any<std::uint64_t>(0, 12'000'000));
      for (int i = 0; i < 300; ++i) {
        loop.turn();
        RC_ASSERT(loop.service.count_serving() >= policy.instance_count_min);
        RC_ASSERT(loop.service.count_serving() <= policy.instance_count_max);
        RC_ASSERT(loop.service.count(InstanceState::kDraining) <= 1u);
      }
    }
  }));
}

TEST(AutoscalerProperty, AConstantLoadIsFollowedUpThenDownAndThenLeftAlone) {
  EXPECT_TRUE(rc::check("no flapping", [] {
    const FluidService::Options options = any_service();
    Loop loop{{kService, any_policy()}, FluidService{options}};
    const ScalePolicy& policy = loop.policy.policy;
    loop.service.set_load(any<std::uint64_t>(0, 12'000'000));
    for (int i = 0; i < 1'000; ++i) loop.turn();
    loop.service.set_load(options.load_ppm);
    bool drained = false;
    // Enough for 11 steps up and 11 drains at the slowest window, cooldown and drain.
    const int sample_count = 12 * 200 + 12 * (300 + 300 + 200);
    for (int i = 0; i < sample_count; ++i) {
      for (const ScaleAction& action : loop.turn()) {
        RC_ASSERT(action.kind != Kind::kStart || !drained);
        drained = drained || action.kind == Kind::kDrain;
      }
    }
    for (int i = 0; i < 1'000; ++i) RC_ASSERT(loop.turn().empty());
    const std::uint64_t n = loop.service.count_running();
    const bool carries = options.load_ppm <= n * kPpmOne.value;
    const bool no_more = n == policy.instance_count_max || n == options.cores_free;
    const bool no_fewer = n == policy.instance_count_min || n == 1 ||
                          options.load_ppm / n * n >= policy.down_load.value * (n - 1);
    RC_ASSERT(carries || no_more);
    RC_ASSERT(no_fewer);
    RC_CLASSIFY(drained, "drained");
    RC_CLASSIFY(n > policy.instance_count_min, "scaled up");
  }));
}

TEST(AutoscalerProperty, EveryKilledInstanceIsReplacedInTheNextPlan) {
  EXPECT_TRUE(rc::check("serving count after a kill", [] {
    FluidService::Options options = any_service();
    options.cores_free = 32;
    Loop loop{{kService, any_policy()}, FluidService{options}};
    for (int i = 0; i < 500; ++i) loop.turn();
    const std::size_t before = loop.service.count_serving();
    if (loop.service.count(InstanceState::kDraining) > 0) return;  // It might be the killed one.
    loop.service.kill(any<std::size_t>(0, 100));
    loop.turn();
    RC_ASSERT(loop.service.count_serving() >= before);
  }));
}

TEST(AutoscalerProperty, TheSameSamplesGiveTheSamePlans) {
  EXPECT_TRUE(rc::check("determinism", [] {
    const ServicePolicy policy{kService, any_policy()};
    const FluidService::Options options = any_service();
    Loop a{policy, FluidService{options}};
    Loop b{policy, FluidService{options}};
    for (int i = 0; i < 300; ++i) {
      RC_ASSERT(a.turn() == b.turn());
      RC_ASSERT(a.state == b.state);
    }
  }));
}

}  // namespace
}  // namespace sluice
