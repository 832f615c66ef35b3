#include "backends/process/shared_memory.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice {
namespace {

using testing::HasSubstr;

constexpr std::size_t kSize = 3 * 4096;

SharedMemory make(std::size_t size = kSize) {
  auto memory = SharedMemory::create("test", size, SharedMemory::Pages::kOrdinary);
  EXPECT_TRUE(memory) << memory.error();
  return std::move(*memory);
}

/// A memory file as a careless or hostile peer would make it.
Fd memory_file(std::size_t size, int seals) {
  Fd fd{::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
  EXPECT_TRUE(seals == 0 || ::fcntl(fd.get(), F_ADD_SEALS, seals) == 0);
  return fd;
}

TEST(SharedMemory, IsZeroesOfAtLeastTheSizeAskedFor) {
  const SharedMemory memory = make(5000);
  EXPECT_EQ(memory.bytes().size(), 8192u);  // Whole pages.
  EXPECT_TRUE(std::all_of(memory.bytes().begin(), memory.bytes().end(),
                          [](std::byte byte) { return byte == std::byte{0}; }));
}

TEST(SharedMemory, CannotShrinkNorGrowNorBeUnsealed) {
  const SharedMemory memory = make();
  EXPECT_EQ(::ftruncate(memory.fd(), 4096), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(memory.fd(), 16 * 4096), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fcntl(memory.fd(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST(SharedMemory, IsClosedAtExec) {
  const SharedMemory memory = make();
  EXPECT_NE(::fcntl(memory.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(SharedMemory, MapSeesWhatCreateMade) {
  const SharedMemory memory = make();
  const auto other = SharedMemory::map(Fd{::dup(memory.fd())}, kSize);
  ASSERT_TRUE(other) << other.error();
  EXPECT_NE(other->bytes().data(), memory.bytes().data());
  memory.bytes()[kSize - 1] = std::byte{7};
  EXPECT_EQ(other->bytes()[kSize - 1], std::byte{7});
  other->bytes()[0] = std::byte{9};
  EXPECT_EQ(memory.bytes()[0], std::byte{9});
}

TEST(SharedMemory, MapRefusesWhatAPeerCouldCut) {
  constexpr int kAll = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  EXPECT_TRUE(SharedMemory::map(memory_file(kSize, kAll), kSize));
  for (const int missing : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, kAll}) {
    const auto refused = SharedMemory::map(memory_file(kSize, kAll & ~missing), kSize);
    ASSERT_FALSE(refused) << missing;
    EXPECT_EQ(refused.error(), "shared memory is not sealed");
  }
}

TEST(SharedMemory, MapRefusesTooLittle) {
  const SharedMemory memory = make();
  const auto refused = SharedMemory::map(Fd{::dup(memory.fd())}, kSize + 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), "shared memory has 12288 bytes; expected 12289");
  EXPECT_FALSE(SharedMemory::map(memory_file(0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0));
}

TEST(SharedMemory, MapRefusesWhatIsNoMemory) {
  const auto nothing = SharedMemory::map(Fd{}, 1);
  ASSERT_FALSE(nothing);
  EXPECT_THAT(nothing.error(), HasSubstr("fstat: "));
  EXPECT_FALSE(SharedMemory::map(Fd{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)}, 1));
}

TEST(SharedMemory, MovingKeepsTheAddress) {
  SharedMemory memory = make();
  const std::byte* address = memory.bytes().data();
  const SharedMemory moved = std::move(memory);
  EXPECT_EQ(moved.bytes().data(), address);
  moved.bytes()[0] = std::byte{1};  // Still mapped.
  EXPECT_EQ(moved.bytes()[0], std::byte{1});
}

TEST(SharedMemory, RefusalOfTheSystemIsSaid) {
  const auto refused =
      SharedMemory::create("test", std::size_t{1} << 62, SharedMemory::Pages::kOrdinary);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), testing::AnyOf(HasSubstr("mmap: "), HasSubstr("ftruncate: ")));
}

}  // namespace
}  // namespace sluice
