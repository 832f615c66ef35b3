#pragma once

#include <cstdint>
#include <vector>

#include "core/flow/flow_match.hpp"
#include "core/function/network_function.hpp"
#include "core/functions/firewall_state.hpp"
#include "core/packet/fragment_tracker.hpp"
#include "core/packet/headers.hpp"

namespace sluice {

/// `firewall`: lets packets pass or drops them (DropReason::kRule) by ordered rules; the first that
/// matches decides, else `default`.
///
/// Settings: `rules` (a list of `{allow: MATCH}` and `{deny: MATCH}`; MATCH has `proto`, `src`,
/// `dst`, `src_port`, `dst_port`, `vlan`, `ip_version`, and `{}` is every packet), `default` (deny
/// by default), `stateful` (default true: packets of a flow that was allowed pass in both
/// directions, whatever the rules say of replies), `flows` (how many flows it follows, default
/// 65536; a new one beyond is dropped as DropReason::kTableFull), `tcp_idle` (300 s), `udp_idle`
/// (30 s), `icmp_idle` (10 s). Later fragments share the fate of the first one; without it they are
/// dropped (kFragmentTable). ICMP errors about an allowed flow need a rule of their own.
class Firewall final : public NetworkFunction {
 public:
  struct Rule {
    FlowMatch match;
    bool allow = false;
    bool operator==(const Rule&) const = default;
  };
  struct Options {
    std::vector<Rule> rules;  ///< At most kRuleCountMax.
    bool allow_by_default = false;
    bool stateful = true;
    FirewallState::Options state;
  };
  static constexpr std::size_t kRuleCountMax = 4096;

  Firewall(const Options& options, const InstanceConfig& config);

  void process(PacketBatch& batch, Context& context) noexcept override;
  void tick(Context& context) noexcept override;
  [[nodiscard]] std::vector<FlowState> export_state(std::span<const FlowKey> keys) override;
  void import_state(std::span<const FlowState> states) override;

  /// What the rules alone say of a flow.
  [[nodiscard]] static bool allowed(const Options& options, const FlowKey& key) noexcept;
  /// Decides one packet; kNone: it passes. All the logic.
  [[nodiscard]] DropReason decide(FlowKey key, const Headers& headers, Instant now) noexcept;

 private:
  void start_once(Context& context) noexcept;
  [[nodiscard]] DropReason decide_flow(const FlowKey& key, const Headers& headers,
                                       Instant now) noexcept;

  Options options_;
  FirewallState state_;
  FragmentTracker fragments_;
  Instant now_{};  // Of the last call.
  bool started_ = false;
};

}  // namespace sluice
