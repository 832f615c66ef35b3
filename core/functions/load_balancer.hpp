#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/chain/maglev.hpp"
#include "core/flow/flow_match.hpp"
#include "core/function/network_function.hpp"
#include "core/functions/flow_map.hpp"
#include "core/packet/fragment_tracker.hpp"
#include "core/packet/headers.hpp"

namespace sluice {

/// `load_balancer`: spreads the flows to one virtual address over backends, by rewriting addresses.
///
/// Settings: `vip` (the virtual address), `backends` (a list of `{ip, weight, mac}`; weight 1 to
/// 65536, default 1; `mac` is written as destination if given; all of the VIP's IP version),
/// `flows` (how many it remembers, default 65536), `idle` (default 60 s). A new flow's backend
/// comes from weighted Maglev hashing, the same on every instance; the flow keeps it while it is
/// remembered. A new flow beyond `flows` is dropped as DropReason::kTableFull. What a backend sends
/// back gets the VIP as source again; all other packets go to the next step unchanged. Ports stay.
class LoadBalancer final : public NetworkFunction {
 public:
  struct Backend {
    IpAddress address;
    std::uint32_t weight = 1;
    std::optional<MacAddress> mac;
  };
  struct Options {
    IpAddress vip;
    std::vector<Backend> backends;  ///< 1 to kBackendCountMax, all different and not the VIP.
    std::shared_ptr<const MaglevTable> maglev;  ///< Its members are indices into `backends`.
    std::uint32_t flow_count_max = 65536;
    Duration idle_timeout = std::chrono::seconds{60};
  };
  static constexpr std::size_t kBackendCountMax = 1024;

  LoadBalancer(const Options& options, const InstanceConfig& config);

  void process(PacketBatch& batch, Context& context) noexcept override;
  void tick(Context& context) noexcept override;
  /// The state of a flow is its backend's address. Times do not travel.
  [[nodiscard]] std::vector<FlowState> export_state(std::span<const FlowKey> keys) override;
  void import_state(std::span<const FlowState> states) override;

  [[nodiscard]] std::uint32_t flow_count() const noexcept { return flows_.size(); }
  /// Decides and rewrites one packet. All the logic.
  void balance(Packet& packet, std::span<std::byte> frame, Instant now) noexcept;

 private:
  using Flows = FlowMap<std::uint16_t>;  // An index into `backends`.
  void start_once(Context& context) noexcept;
  void expire(Instant now) noexcept;
  void to_backend(Packet& packet, std::span<std::byte> frame, const Headers& headers,
                  const FlowKey& key, Instant now) noexcept;
  void to_client(std::span<std::byte> frame, const Headers& headers, const FlowKey& key,
                 Instant now) noexcept;

  Options options_;
  Flows flows_;
  FragmentTracker fragments_;
  Instant now_{};  // Of the last call.
  bool started_ = false;
};

}  // namespace sluice
