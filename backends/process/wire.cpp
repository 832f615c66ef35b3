#include "backends/process/wire.hpp"

namespace sluice::wire {

std::string problem_of(const Hello& hello) {
  if (hello.magic != kMagic) return "not a Sluice network function; its greeting is unknown";
  if (hello.version != kVersion) {
    return "wrong version of the interface; got " + std::to_string(hello.version) + "; expected " +
           std::to_string(kVersion) + " (rebuild it against this host's sluice::nf)";
  }
  if (hello.layout != kLayout) {
    return "other layout of shared memory than this host's; rebuild it against its sluice::nf";
  }
  return {};
}

}  // namespace sluice::wire
