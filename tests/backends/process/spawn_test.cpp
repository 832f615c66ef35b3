#include "backends/process/spawn.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <string>

#include "backends/process/unix_socket.hpp"

namespace sluice {
namespace {

constexpr Duration kLimit = std::chrono::seconds{60};

struct Child {
  SpawnedProcess process;
  Fd socket;  ///< Our end.
};

Child start(const std::string& script) {
  auto ends = unix_socket::pair();
  EXPECT_TRUE(ends) << ends.error();
  auto process = spawn({"/bin/sh", "-c", script}, ends->second.get());
  EXPECT_TRUE(process) << process.error();
  return {std::move(*process), std::move(ends->first)};
}

/// A child that lives until its end of the socket says so or a signal comes.
Child start_waiting() {
  Child child = start("echo ready >&3; read line <&3");
  std::array<std::byte, 16> bytes;
  EXPECT_TRUE(unix_socket::receive(child.socket.get(), bytes));
  return child;
}

std::string end_of(const Child& child) {
  EXPECT_TRUE(wait_for(child.process.pidfd, kLimit));
  return reap(child.process.pid);
}

TEST(Spawn, ChildFindsTheSocketAsDescriptor3) {
  const Child child = start("echo hello >&3");
  std::array<std::byte, 16> bytes;
  const auto received = unix_socket::receive(child.socket.get(), bytes);
  ASSERT_TRUE(received);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), received->size), "hello\n");
  EXPECT_EQ(end_of(child), "exit 0");
}

TEST(Spawn, ChildGetsNoOtherDescriptorOfOurs) {
  const Child other = start_waiting();
  // Not under 3, where the child has its own socket.
  const Fd ours{::fcntl(other.socket.get(), F_DUPFD_CLOEXEC, 10)};
  ASSERT_GE(ours.get(), 10);
  EXPECT_EQ(end_of(start("test -e /proc/self/fd/" + std::to_string(ours.get()))), "exit 1");
  EXPECT_EQ(end_of(start("test -e /proc/self/fd/3")), "exit 0");  // So the question is right.
  EXPECT_TRUE(send_signal(other.process.pidfd, SIGKILL));
  EXPECT_EQ(end_of(other), "signal 9");
}

TEST(Spawn, ChildIsInAGroupOfItsOwnAndTakesSignals) {
  sigset_t block, before;
  ::sigemptyset(&block);
  ::sigaddset(&block, SIGTERM);
  ASSERT_EQ(::sigprocmask(SIG_BLOCK, &block, &before), 0);
  const Child child = start_waiting();
  ASSERT_EQ(::sigprocmask(SIG_SETMASK, &before, nullptr), 0);
  EXPECT_EQ(::getpgid(child.process.pid), child.process.pid);
  EXPECT_TRUE(send_signal(child.process.pidfd, SIGTERM));
  EXPECT_EQ(end_of(child), "signal 15");
}

TEST(Spawn, EndIsSeenThenReapedOnce) {
  const Child child = start_waiting();
  EXPECT_FALSE(wait_for(child.process.pidfd, Duration::zero()));
  EXPECT_EQ(reap(child.process.pid), "");
  EXPECT_TRUE(send_signal(child.process.pidfd, SIGKILL));
  EXPECT_EQ(end_of(child), "signal 9");
  EXPECT_EQ(reap(child.process.pid), "");
  EXPECT_FALSE(send_signal(child.process.pidfd, SIGKILL));  // Nobody else gets it.
}

TEST(Spawn, ExitCodeIsSaid) {
  EXPECT_EQ(end_of(start("exit 7")), "exit 7");
}

TEST(Spawn, ProgramThatIsMissingIsSaid) {
  auto ends = unix_socket::pair();
  ASSERT_TRUE(ends);
  const auto process = spawn({"/nonexistent/nf"}, ends->second.get());
  ASSERT_FALSE(process);
  EXPECT_EQ(process.error(), "/nonexistent/nf: No such file or directory");
}

TEST(Spawn, PidfdOfNobodyIsNone) {
  EXPECT_TRUE(open_pidfd(::getpid()));
  EXPECT_FALSE(open_pidfd(-1));
  const Child child = start("exit 0");
  end_of(child);
  EXPECT_FALSE(open_pidfd(child.process.pid));
}

}  // namespace
}  // namespace sluice
