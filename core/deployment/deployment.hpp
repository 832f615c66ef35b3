#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/chain/chain.hpp"
#include "core/flow/flow_match.hpp"
#include "core/function/config_value.hpp"
#include "core/function/network_function.hpp"
#include "core/host/scale_policy.hpp"
#include "core/result.hpp"
#include "core/units.hpp"

/// What a deployment file says (DESIGN 11), checked and with every default filled in: plain values
/// that nothing changes after the parser (core/deployment/parser.hpp) gave them out. Whoever starts
/// a host, real or simulated, reads only this. Places are kept where a thing can still go wrong
/// later.
namespace sluice {

/// What packets cost a core, in cycles of its host's clock.
struct Cost {
  std::uint64_t packet_cycles = 0;
  std::uint64_t byte_millicycles = 0;  ///< Per frame byte, in thousandths of a cycle.
  std::uint64_t batch_cycles = 0;      ///< Once per batch.

  /// The cycles of one batch, rounded up to whole ones; 0 without packets.
  [[nodiscard]] constexpr std::uint64_t cycles_for(std::uint64_t packet_count,
                                                   std::uint64_t size_bytes) const {
    if (packet_count == 0) return 0;
    return batch_cycles + packet_count * packet_cycles +
           (size_bytes * byte_millicycles + 999) / 1000;
  }
  bool operator==(const Cost&) const = default;
};

/// A port of a host, for those who stand outside of both.
struct PortRef {
  HostId host{};
  PortId port = kNoPort;
  bool operator==(const PortRef&) const = default;
};

/// The link at a port, in a simulation.
struct LinkSpec {
  enum class Kind : std::uint8_t { kBurst, kPointToPoint, kCsma };
  static constexpr std::string_view kKindNames[] = {"burst", "point-to-point", "csma"};

  Kind kind = Kind::kBurst;
  Duration delay = std::chrono::microseconds{1};
  std::uint32_t burst_count_max = 32;  ///< kBurst: packets that cross in one event.
  Duration burst_window = std::chrono::microseconds{20};  ///< kBurst: how long a burst gathers.
  bool operator==(const LinkSpec&) const = default;
};

struct PortSpec {
  std::string name;
  PortId id = kNoPort;                  ///< Numbered on its host in file order, from 0.
  Rate rate;                            ///< Above 0.
  std::optional<PortId> pass_to;        ///< Where unmatched packets go; nothing: they are dropped.
  std::optional<PortId> neighbours_to;  ///< Where ARP and neighbour discovery go; nothing: dropped.
  std::uint16_t frame_size_max = 1522;  ///< Larger frames are dropped for kMtu.
  LinkSpec link;
  Place place;
};

struct HostSpec {
  std::string name;
  HostId id{};                   ///< In file order, from 0.
  std::uint32_t core_count = 1;  ///< For workers and instances together, one each.
  Frequency clock;
  std::uint32_t worker_count = 1;
  Cost worker_cost;  ///< Of the worker itself, without inline services.
  std::uint32_t buffer_count = 8192;
  std::uint32_t buffer_size = 2048;         ///< Bytes, headroom included.
  std::uint32_t flow_count_max = 1u << 16;  ///< Of each worker's flow table; a power of two.
  Duration flow_idle = std::chrono::seconds{5};
  std::vector<PortSpec> ports;  ///< By PortId.
  Place place;
};

struct ServiceSpec {
  Service service;
  std::shared_ptr<const Program> program;
  Traits traits;         ///< Of `program`.
  ConfigValue settings;  ///< The function's own keys, a map; for the resolved file.
  Place function_place;  ///< Where the file names the function.
  /// Stands for `settings` and the bytes of the files that they name; ServiceSettings has it.
  std::string fingerprint;
  Cost cost;
  std::uint32_t instance_count_start = 1;  ///< Per host that runs it. Inline: one a worker.
  /// With instance_count_min and _max. Not enabled: the count stays as it starts.
  ScalePolicy scaling;
  bool scalable = true;       ///< As the file says it; traits and run mode can still forbid it.
  bool implicit = false;      ///< Not declared: a step names the function itself.
  std::vector<HostId> hosts;  ///< Those whose chains (or their changes) use it, ordered.
  Place place;
};

struct ChainSpec {
  ChainVersion version;  ///< Its first version. `index` counts up over all versions of the file.
  HostId host{};         ///< Where it runs: that of both ports, until chains cross hosts.
  FlowMatch match;       ///< With `ingress` set to the `from` port. Order in the file is priority.
  bool provisioned = false;        ///< Its instances run from the start, enough for `rate`.
  Rate rate;                       ///< Planned for, if provisioned; else 0.
  std::uint32_t frame_size = 512;  ///< Bytes of a mean frame, for the planning.
  Place place;
};

/// New steps for a chain at some time.
struct ChainChange {
  Instant at{};
  HostId host{};
  /// The chain's next version, and that of the chain which reverses it, if one does.
  std::vector<ChainVersion> versions;
  Place place;
};

/// A point of a rate curve; between two points the rate moves in a straight line, before the first
/// and after the last it stays.
struct RatePoint {
  Duration at{};  ///< Since the start of the run.
  Rate rate;
  bool operator==(const RatePoint&) const = default;
};

/// A point of a curve of arrivals, as RatePoint.
struct ArrivalPoint {
  Duration at{};                     ///< Since the start of the run.
  std::uint64_t per_kilosecond = 0;  ///< Arrivals in 1000 s.
  bool operator==(const ArrivalPoint&) const = default;
};

/// A distribution of sizes: a step of its cumulative function. The last has 1 in `cumulative`.
struct SizePoint {
  std::uint64_t size_bytes = 0;
  Ppm cumulative;
  bool operator==(const SizePoint&) const = default;
};

/// Sizes of frames or transfers: always the same (one point) or drawn (a step per point).
struct SizeSpec {
  std::string file;               ///< Where the distribution was read from; empty: fixed.
  std::vector<SizePoint> points;  ///< Never empty. Sizes and `cumulative` rise.
  bool operator==(const SizeSpec&) const = default;
};

/// Which addresses made-up flows have; drawn by the seed, uniformly.
struct AddressSpec {
  std::uint8_t protocol = 17;  ///< UDP (17) or TCP (6); TCP only looks like it, nothing reacts.
  IpPrefix source;             ///< Of the same IP version as `destination`.
  IpPrefix destination;
  PortRange source_port;
  PortRange destination_port;
  bool operator==(const AddressSpec&) const = default;
};

/// A capture, played again and again.
struct ReplayTraffic {
  std::string file;     ///< As the deployment file names it. It begins like a pcap file.
  bool rewrite = true;  ///< Each pass has addresses and ports of its own, so brings new flows.
  /// By which the frames of the capture's servers come; nothing: by TrafficSpec::into, as all do.
  std::optional<PortRef> to;
  std::uint32_t pass_count_max = 0;  ///< 0: until `stop`.
  bool operator==(const ReplayTraffic&) const = default;
};

/// Made-up packets at the rate curve: evenly spaced, Poisson, or Poisson in on/off phases.
struct SyntheticTraffic {
  enum class Arrivals : std::uint8_t { kConstant, kPoisson, kOnOff };
  Arrivals arrivals = Arrivals::kConstant;
  SizeSpec frame_sizes;            ///< Frame bytes without FCS, 60 B or more.
  std::uint32_t flow_count = 1;    ///< Live at the same time.
  std::uint64_t flow_packets = 0;  ///< A flow ends after so many and a new one begins; 0: never.
  std::optional<SizeSpec> flow_sizes;  ///< Or after so many bytes, drawn for each flow.
  std::uint32_t burst = 1;             ///< Packets that leave back to back.
  Duration on_mean{};   ///< kOnOff: exponential phases of these means; the rate curve
  Duration off_mean{};  ///< holds while on.
  /// Which port the server of a real client is behind; set if TrafficSpec::client is.
  std::optional<PortRef> to;
  AddressSpec addresses;
  bool operator==(const SyntheticTraffic&) const = default;
};

/// Finite TCP transfers between end points, outside of `into` (clients) and `to` (servers).
struct TcpTraffic {
  PortRef to;
  SizeSpec transfer_sizes;               ///< Payload bytes, client to server; curl's the other way.
  std::vector<ArrivalPoint> arrivals;    ///< Poisson at this rate. Never empty.
  std::uint64_t transfer_count_max = 0;  ///< 0: until `stop`.
  AddressSpec addresses;                 ///< protocol 6; destination_port has one port.
  bool operator==(const TcpTraffic&) const = default;
};

/// Which real programs make a testbed's traffic; a simulation has end points of its own.
enum class TrafficClient : std::uint8_t { kIperf3, kCurl };
inline constexpr std::string_view kTrafficClientNames[] = {"iperf3", "curl"};

struct TrafficSpec {
  std::string name;  ///< As given, or "traffic-N".
  PortRef into;
  Instant start{};
  Instant stop{};  ///< As given, or the end of the run.
  /// Frame bytes without FCS, preamble and gap. Empty for tcp, and for a replay at its own pace.
  std::vector<RatePoint> rate;
  std::variant<ReplayTraffic, SyntheticTraffic, TcpTraffic> kind;
  /// Of tcp always, of constant traffic if given; nothing: a testbed sends the packets itself.
  std::optional<TrafficClient> client;
  Place place;
};

/// `instance` is the number that the service counts its instances with, from 1 (InstanceConfig).
struct KillInstance {
  ServiceId service = kNoService;
  std::uint32_t instance = 1;
  bool operator==(const KillInstance&) const = default;
};
/// It keeps its packets and answers nothing; for ever when the fault has no duration.
struct HangInstance {
  ServiceId service = kNoService;
  std::uint32_t instance = 1;
  bool operator==(const HangInstance&) const = default;
};
struct SlowInstance {
  ServiceId service = kNoService;
  std::uint32_t instance = 1;
  std::uint32_t factor = 1;  ///< Each batch costs this many times as much. Above 1.
  bool operator==(const SlowInstance&) const = default;
};
struct KillHost {
  HostId host{};
  bool operator==(const KillHost&) const = default;
};
struct PauseHost {
  HostId host{};
  bool operator==(const PauseHost&) const = default;
};
/// What the link at a port does to frames, in both directions.
struct DisturbLink {
  PortRef port;
  Ppm loss;
  Ppm duplicate;
  Ppm reorder;       ///< This part of the frames is held back past the following ones.
  Duration delay{};  ///< In addition to the link's own.
  bool operator==(const DisturbLink&) const = default;
};

struct FaultSpec {
  Instant at{};
  std::optional<Duration> duration;  ///< Nothing: till the end. Never set for kills.
  std::variant<KillInstance, HangInstance, SlowInstance, KillHost, PauseHost, DisturbLink> what;
  Place place;
};

struct RunSpec {
  Duration duration = std::chrono::seconds{10};
  std::uint64_t seed = 1;
  Duration sample_interval = std::chrono::milliseconds{10};
  Duration warmup{};  ///< Left out of the summary.
  bool checkers = true;
  std::vector<PortRef> captures;  ///< Ports whose frames are written to a capture.
};

/// A whole deployment file. Names are resolved to numbers; numbers index the vectors.
struct Deployment {
  std::string file;  ///< As it was given to the parser.
  std::string name;
  std::string description;
  std::vector<HostSpec> hosts;        ///< By HostId.
  std::vector<ServiceSpec> services;  ///< By ServiceId: declared ones in file order, then implicit.
  std::vector<ChainSpec> chains;      ///< By ChainId, in file order.
  std::vector<ChainChange> changes;   ///< By time.
  std::vector<TrafficSpec> traffic;
  std::vector<FaultSpec> faults;  ///< By time.
  ScalePolicy scaling;            ///< The defaults of all services.
  ScaleStrategy strategy = ScaleStrategy::kSpread;
  LinkSpec link;  ///< The default of all ports.
  RunSpec run;
};

}  // namespace sluice
