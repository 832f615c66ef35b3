#pragma once

#include <string>

#include "core/function/network_function.hpp"

namespace sluice {

/// A third party's program (DESIGN 6), built against sluice::nf outside of this tree: the host
/// starts it as a process or in a container and asks it nothing that a built-in function knows by
/// itself. So the file says what the host must know.
///
/// Settings: `program` (its path; relative to the folder of the deployment file), `settings` (a
/// map, handed to the program as it stands), `files` (a list of paths, relative likewise: the host
/// reads them and sends them along, for in a container the program could not), and of its traits
/// `keeps_flow_state`, `generates`, `bidirectional` (then its affinity is `session` unless the file
/// says otherwise), all false by default. Labels, and whether it may be scaled, are keys of the
/// service.
class ExternalProgram final : public Program {
 public:
  explicit ExternalProgram(Traits traits) : traits_(std::move(traits)) {}

  [[nodiscard]] const Traits& traits() const override { return traits_; }
  /// Not to be called (checked): there is nothing of it in this process. Traits::external_program
  /// tells.
  [[nodiscard]] std::unique_ptr<NetworkFunction> make_instance(
      const InstanceConfig& config) const override;

 private:
  Traits traits_;
};

}  // namespace sluice
