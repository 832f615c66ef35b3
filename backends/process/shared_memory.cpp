#include "backends/process/shared_memory.hpp"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::string failed(const char* call) {
  return std::string(call) + ": " + std::strerror(errno);
}

std::size_t round_up(std::size_t size, std::size_t unit) {
  return (size + unit - 1) / unit * unit;
}

std::span<std::byte> map_fd(int fd, std::size_t size_bytes, int flags) {
  void* address = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);
  if (address == MAP_FAILED) return {};
  return {static_cast<std::byte*>(address), size_bytes};
}

}  // namespace

SharedMemory::~SharedMemory() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)), bytes_(std::exchange(other.bytes_, {})), pages_(other.pages_) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(bytes_, other.bytes_);
  std::swap(pages_, other.pages_);
  return *this;
}

Result<SharedMemory, std::string> SharedMemory::create(const std::string& name,
                                                       std::size_t size_bytes, Pages pages) {
  const bool huge = pages == Pages::kHuge;
  const auto page_bytes = huge ? kHugePageBytes : static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t size = round_up(size_bytes, page_bytes);
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0u);
  SharedMemory memory;
  memory.pages_ = pages;
  memory.fd_ = Fd{::memfd_create(name.c_str(), flags)};
  if (!memory.fd_) return unexpected(failed("memfd_create"));
  if (::ftruncate(memory.fd_.get(), static_cast<off_t>(size)) != 0) {
    return unexpected(failed("ftruncate"));
  }
  memory.bytes_ = map_fd(memory.fd_.get(), size, MAP_POPULATE);
  if (memory.bytes_.empty()) return unexpected(failed("mmap"));
  if (::fcntl(memory.fd_.get(), F_ADD_SEALS, kSeals) != 0) return unexpected(failed("F_ADD_SEALS"));
  return memory;
}

Result<SharedMemory, std::string> SharedMemory::map(Fd fd, std::size_t size_bytes) {
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return unexpected(failed("fstat"));
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size < size_bytes || size == 0) {
    return unexpected("shared memory has " + std::to_string(size) + " bytes; expected " +
                      std::to_string(size_bytes));
  }
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) {
    return unexpected(std::string("shared memory is not sealed"));
  }
  SharedMemory memory;
  memory.fd_ = std::move(fd);
  memory.bytes_ = map_fd(memory.fd_.get(), size, 0);
  if (memory.bytes_.empty()) return unexpected(failed("mmap"));
  return memory;
}

}  // namespace sluice
