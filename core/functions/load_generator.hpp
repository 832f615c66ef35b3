#pragma once

#include <cstdint>
#include <vector>

#include "core/flow/flow_match.hpp"
#include "core/function/network_function.hpp"
#include "core/packet/headers.hpp"

namespace sluice {

/// `load_generator`: makes UDP packets at a constant rate and sends them to the next step; packets
/// that come to it go there too.
///
/// Settings: `rate` (default 1 Gbps, of frame bytes without FCS), `size` (of a frame, default 64 B,
/// 64 to 9216), `flows` (default 1; packet i belongs to flow i modulo this), `src` and `dst`
/// (prefixes of one IP version, default 10.0.0.0/24 and 10.1.0.0/24), `dst_port` (default 9),
/// `src_mac` and `dst_mac`. Each flow has its own source address and port. The first 8 bytes of the
/// payload are the packet's number in network order, the rest is 0. It makes no more than the host
/// lends buffers for (Context::kLentMax at once): what falls behind by more than that is left out
/// and counted.
class LoadGenerator final : public NetworkFunction {
 public:
  struct Options {
    Rate rate{.bps = 1'000'000'000};  ///< Above 0.
    std::uint16_t frame_bytes = 64;
    std::uint32_t flow_count = 1;
    IpPrefix source{.address = {.bytes = {10, 0, 0, 0}}, .length = 24};
    IpPrefix destination{.address = {.bytes = {10, 1, 0, 0}}, .length = 24};
    std::uint16_t destination_port = 9;
    MacAddress source_mac{0x02, 0, 0, 0, 0, 1};
    MacAddress destination_mac{0x02, 0, 0, 0, 0, 2};
  };
  struct Totals {
    std::uint64_t made_count = 0;
    std::uint64_t left_out_count = 0;
  };
  static constexpr std::uint16_t kSourcePortFirst = 49152;
  static constexpr std::uint32_t kSourcePortCount = 16384;

  LoadGenerator(const Options& options, const InstanceConfig& config);

  void process(PacketBatch& batch, Context& context) noexcept override;
  void tick(Context& context) noexcept override;
  void message(const Message& message, Context& context) noexcept override;
  [[nodiscard]] Instant wake_at() const noexcept override { return wake_at_; }

  [[nodiscard]] const Totals& totals() const noexcept { return totals_; }
  /// How many flows the options' source prefix can tell apart.
  [[nodiscard]] static std::uint64_t flow_count_max(const IpPrefix& source) noexcept;
  /// Writes packet `number` into `frame`, of `frame_bytes`.
  void write(std::span<std::byte> frame, std::uint64_t number) const noexcept;

 private:
  void generate(Context& context) noexcept;
  [[nodiscard]] Instant due(std::uint64_t number) const noexcept;

  Options options_;
  std::vector<std::byte> frame_;  // What all packets have in common.
  Headers headers_;               // Of frame_.
  Totals totals_;
  std::uint64_t number_ = 0;  // Of the next packet.
  Instant start_{};
  Instant wake_at_{};  // At once.
  bool started_ = false;
  bool drained_ = false;  // It makes nothing any more.
};

}  // namespace sluice
