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

Result<FlowOwners, std::string> FlowOwners::open(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) return unexpected(path + ": " + std::strerror(errno));
  void* memory = MAP_FAILED;
  if (ftruncate(file, kBytes) == 0) {  // All zeroes, or as it was.
    memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
  }
  const std::string problem = path + ": " + std::strerror(errno);
  close(file);
  if (memory == MAP_FAILED) return unexpected(problem);
  return FlowOwners{{static_cast<Owner*>(memory), kFlowCountMax}};
}

FlowOwners::FlowOwners(FlowOwners&& other) noexcept : owners_(std::exchange(other.owners_, {})) {}

FlowOwners::~FlowOwners() {
  if (!owners_.empty()) munmap(owners_.data(), kBytes);
}

}  // namespace sluice::bench
