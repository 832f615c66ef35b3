#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/ns3/ns3.hpp"
#include "backends/ns3/sim_host.hpp"
#include "core/deployment/deployment.hpp"
#include "core/packet/flow_key.hpp"
#include "core/packet/packet.hpp"

namespace sluice {

/// A host of a deployment on a node of an ns-3 user's own script, which HostHelper puts there.
///
/// Transparent to what is around it, as a cable with functions in it: frames that come in by one of
/// the node's devices go through the deployment's chains and leave by another; the node needs no
/// Internet stack. Its methods are named as ns-3's are, for they stand beside them in scripts.
///
/// Aggregated to its node, so its path is /NodeList/N/$sluice::Host. It starts with the node, at
/// time 0, and its attributes count until then. Each trace source costs a branch a batch while
/// nothing is connected to it. `traffic`, `faults` and `run` of the deployment are for `sluice sim`
/// alone; `changes` happen here, too.
///
/// Attributes: Seed, SampleInterval, StartDelay, DeathNotice, BatchMax, RxRingFrames, Scaling.
class SluiceHost final : public ns3::Object {
 public:
  // What the trace sources call.
  using FrameTracedCallback = void (*)(ns3::Ptr<const ns3::Packet> frame, std::uint16_t port);
  using DropTracedCallback = void (*)(ns3::Ptr<const ns3::Packet> frame, DropReason reason);
  using FlowStartedTracedCallback = void (*)(FlowId flow, const FlowKey& key, std::string chain);
  using FlowEndedTracedCallback = void (*)(FlowId flow);
  using InstanceEndedTracedCallback = void (*)(std::string instance, bool died);
  using NameTracedCallback = void (*)(std::string instance);
  using TextTracedCallback = void (*)(std::string name, std::string text);
  using RatioTracedCallback = void (*)(std::string instance, double ratio);

  static ns3::TypeId GetTypeId();
  SluiceHost();
  ~SluiceHost() override;

  /// What it is and by which devices, in the order of the host's ports, as many as it has
  /// (checked). Once, before it starts. HostHelper does it, after checks of its own.
  void Bind(std::shared_ptr<const Deployment> deployment, HostId host,
            std::vector<ns3::Ptr<ns3::NetDevice>> devices);

  /// Called with each load sample while Scaling is true; what it returns is done. Without one the
  /// numbers of instances stay. The default policy is sim/attach_autoscaler.hpp.
  void SetSampler(SimHost::Sampler sampler);

  /// Ends the host: no frame goes through it any more, and what its instances hold is dropped for
  /// DropReason::kShutdown. Then Audit() must hold. It does not start again.
  void Stop();
  /// Whether each buffer is free again. Call it after Stop(). @return What is wrong, or nothing.
  [[nodiscard]] std::string Audit() const;

  /// What all workers counted, summed; without the part by instance. Zeros before it starts, and
  /// after Simulator::Destroy() what they were then. Frames
  /// that no buffer was free for (DropReason::kNoBuffer) are counted here and not traced.
  [[nodiscard]] WorkerStatistics GetStatistics() const;
  [[nodiscard]] std::uint64_t GetDropCount(DropReason reason) const;
  /// All that were dropped, for whatever reason; the end of a copy is no drop.
  [[nodiscard]] std::uint64_t GetDropCount() const;
  /// Instances that run or start, by the service's name; 0 for an unknown one, and when the host
  /// does not run.
  [[nodiscard]] std::uint32_t GetInstanceCount(const std::string& service) const;

  [[nodiscard]] const Deployment& GetDeployment() const { return *deployment_; }
  [[nodiscard]] HostId GetHostId() const { return host_id_; }
  /// The host itself, for faults (kill, hang, slow) and for all that has no method here; null
  /// before it starts and after Simulator::Destroy().
  [[nodiscard]] SimHost* GetHost() const;

 private:
  using FrameTrace = ns3::TracedCallback<ns3::Ptr<const ns3::Packet>, std::uint16_t>;
  using TextTrace = ns3::TracedCallback<std::string, std::string>;
  using RatioTrace = ns3::TracedCallback<std::string, double>;
  class Relay;
  struct Running;

  static ns3::TypeId add_attributes(ns3::TypeId tid);
  static ns3::TypeId add_traces(ns3::TypeId tid);
  void DoInitialize() override;
  void DoDispose() override;
  [[nodiscard]] SimHost::Options options(Observer* observer) const;
  void plan_changes();
  void attach_ports();
  void relay(const Note& note);
  void trace_load(const LoadSample& sample);

  // Attributes.
  std::uint64_t seed_ = 0;
  ns3::Time sample_interval_, start_delay_, death_notice_;
  std::uint32_t batch_max_ = 0;
  std::uint32_t rx_ring_frames_ = 0;
  bool scaling_ = true;

  std::shared_ptr<const Deployment> deployment_;
  HostId host_id_{};
  std::vector<ns3::Ptr<ns3::NetDevice>> devices_;
  SimHost::Sampler sampler_;
  /// Events name what is in it, so it lives until Simulator::Destroy() at least.
  std::shared_ptr<Running> running_;
  WorkerStatistics last_statistics_;  ///< While `running_` is null.
  std::string last_audit_;

  FrameTrace trace_rx_, trace_tx_;
  ns3::TracedCallback<ns3::Ptr<const ns3::Packet>, DropReason> trace_drop_;
  ns3::TracedCallback<FlowId, const FlowKey&, std::string> trace_flow_started_;
  ns3::TracedCallback<FlowId> trace_flow_ended_;
  TextTrace trace_instance_started_;
  ns3::TracedCallback<std::string> trace_instance_draining_;
  ns3::TracedCallback<std::string, bool> trace_instance_ended_;
  TextTrace trace_scale_up_, trace_scale_down_, trace_scale_blocked_;
  RatioTrace trace_occupancy_, trace_load_;
};

}  // namespace sluice
