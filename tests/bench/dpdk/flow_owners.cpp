#include "tests/bench/dpdk/flow_owners.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice::bench {
namespace {

constexpr std::size_t kBytes = FlowOwners::kFlowCountMax * sizeof(FlowOwners::Owner);

}  // namespace

Result<FlowOwners, std::string> FlowOwners::create() {
  const int file = memfd_create("flow-owners", MFD_CLOEXEC);
  if (file >= 0 && ftruncate(file, kBytes) != 0) {
    close(file);
    return unexpected(std::string{"flow-owners: "} + std::strerror(errno));
  }
  return map(file, "flow-owners");
}

Result<FlowOwners, std::string> FlowOwners::open(const std::string& path) {
  return map(::open(path.c_str(), O_RDWR | O_CLOEXEC), path);
}

Result<FlowOwners, std::string> FlowOwners::map(int file, const std::string& name) {
  if (file < 0) return unexpected(name + ": " + std::strerror(errno));
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  if (memory == MAP_FAILED) {
    const std::string problem = name + ": " + std::strerror(errno);
    close(file);
    return unexpected(problem);
  }
  return FlowOwners{file, {static_cast<Owner*>(memory), kFlowCountMax}};
}

std::string FlowOwners::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(file_);
}

FlowOwners::FlowOwners(FlowOwners&& other) noexcept
    : file_(std::exchange(other.file_, -1)), owners_(std::exchange(other.owners_, {})) {}

FlowOwners::~FlowOwners() {
  if (!owners_.empty()) munmap(owners_.data(), kBytes);
  if (file_ >= 0) close(file_);
}

}  // namespace sluice::bench
