#pragma once

#include <string>
#include <vector>

#include "tests/bench/dpdk/child_process.hpp"
#include "tests/bench/dpdk/forwarder.hpp"
#include "tests/bench/dpdk/unix_client.hpp"

namespace sluice::bench {

/// Open vSwitch with DPDK: a database and a switch of its own in a folder, not the system's. One
/// rule on the protocol and a port sends everything on; its exact-match cache takes in every flow.
class OpenVswitch final : public Forwarder {
 public:
  static constexpr const char* kSwitch = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk";
  static constexpr const char* kDatabase = "ovsdb-server";

  /// Starts it and waits until `packet_count_warm` packets went out.
  [[nodiscard]] static Result<OpenVswitch, std::string> start(const ForwarderSetup& setup,
                                                              std::uint64_t packet_count_warm);
  [[nodiscard]] Result<SentCount, std::string> count() override;
  [[nodiscard]] std::vector<pid_t> processes() override { return {switch_.pid()}; }

 private:
  OpenVswitch(ChildProcess database, ChildProcess the_switch, UnixClient client)
      : database_(std::move(database)),
        switch_(std::move(the_switch)),
        client_(std::move(client)) {}
  [[nodiscard]] Result<std::string, std::string> ask(const std::string& method,
                                                     const std::vector<std::string>& arguments);

  ChildProcess database_;
  ChildProcess switch_;
  UnixClient client_;
};

}  // namespace sluice::bench
