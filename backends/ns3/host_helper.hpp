#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "backends/ns3/host_object.hpp"
#include "backends/ns3/ns3.hpp"
#include "core/deployment/deployment.hpp"
#include "core/result.hpp"

namespace sluice {

/// Puts hosts of a deployment file on nodes of an ns-3 user's own script.
///
/// A script has real links, TCP end points and measurements of its own already, and wants a host
/// with functions between them: read the file, Install() on the node in the middle. One helper for
/// as many hosts as wanted. What a user can get wrong comes back as an error that names its place;
/// what is left to ns-3 (the name of an attribute) ends the program as everywhere in ns-3.
class HostHelper {
 public:
  /// Reads and checks a deployment file; the files that it names lie relative to it.
  [[nodiscard]] static Result<HostHelper> FromFile(const std::string& path);
  /// The same for a text; the files that it names are relative to `folder`.
  [[nodiscard]] static Result<HostHelper> FromText(std::string_view text,
                                                   const std::string& folder = ".");

  /// For the hosts installed after this; see SluiceHost.
  void SetAttribute(const std::string& name, const ns3::AttributeValue& value);

  /// Puts the deployment's only host on `node`: its first port is on the node's first device, and
  /// so on; loopback devices do not count. The devices may be of any kind, and must be the node's
  /// when this is called. Turns on ns-3's checksums (ChecksumEnabled), for packets whose checksum
  /// is not right are none to a host.
  /// @return The host, which is aggregated to `node` and starts with it. An error when the
  /// deployment has several hosts, when ports and devices are not equally many, or when `node` has
  /// a host.
  [[nodiscard]] Result<ns3::Ptr<SluiceHost>> Install(ns3::Ptr<ns3::Node> node) const;
  /// The same for the host that the deployment calls `host`. On several nodes, if wanted: each is a
  /// host of its own.
  [[nodiscard]] Result<ns3::Ptr<SluiceHost>> Install(ns3::Ptr<ns3::Node> node,
                                                     const std::string& host) const;
  /// The same with a device of `node` for each port, by the port's name.
  using Devices = std::map<std::string, ns3::Ptr<ns3::NetDevice>>;
  [[nodiscard]] Result<ns3::Ptr<SluiceHost>> Install(ns3::Ptr<ns3::Node> node,
                                                     const std::string& host,
                                                     const Devices& devices) const;

  [[nodiscard]] const Deployment& GetDeployment() const { return *deployment_; }

 private:
  explicit HostHelper(Deployment deployment);

  [[nodiscard]] Result<const HostSpec*> find(const std::string& host) const;
  [[nodiscard]] Result<ns3::Ptr<SluiceHost>> install(
      const ns3::Ptr<ns3::Node>& node, const HostSpec& host,
      std::vector<ns3::Ptr<ns3::NetDevice>> devices) const;

  std::shared_ptr<const Deployment> deployment_;
  ns3::ObjectFactory factory_;
};

}  // namespace sluice
