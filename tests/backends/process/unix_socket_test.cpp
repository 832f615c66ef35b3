#include "backends/process/unix_socket.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "backends/process/shared_memory.hpp"

namespace sluice::unix_socket {
namespace {

using testing::HasSubstr;

std::pair<Fd, Fd> connected() {
  auto ends = pair();
  EXPECT_TRUE(ends) << ends.error();
  return std::move(ends).value();
}

void make_nonblocking(const Fd& fd) {
  EXPECT_EQ(::fcntl(fd.get(), F_SETFL, O_NONBLOCK), 0);
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

struct Numbers {
  std::uint32_t first = 0, second = 0;
};

class SocketAtPath : public testing::Test {
 protected:
  SocketAtPath() {
    std::string name = testing::TempDir() + "sluice-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~SocketAtPath() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST(UnixSocket, StructsArriveWhole) {
  const auto ends = connected();
  ASSERT_TRUE(send_struct(ends.first.get(), Numbers{3, 5}));
  ASSERT_TRUE(send_struct(ends.first.get(), Numbers{7, 9}));
  Numbers got;
  ASSERT_TRUE(receive_struct(ends.second.get(), got));
  EXPECT_EQ(got.first, 3u);
  EXPECT_EQ(got.second, 5u);
  ASSERT_TRUE(receive_struct(ends.second.get(), got));
  EXPECT_EQ(got.first, 7u);
}

TEST(UnixSocket, DescriptorsArriveAndLeadToTheSameMemory) {
  const auto ends = connected();
  auto memory = SharedMemory::create("test", 4096, SharedMemory::Pages::kOrdinary);
  ASSERT_TRUE(memory);
  const std::array fds = {memory->fd(), ends.first.get()};
  ASSERT_TRUE(send_struct(ends.first.get(), Numbers{1, 2}, fds));
  Numbers got;
  auto received = receive_struct(ends.second.get(), got);
  ASSERT_TRUE(received);
  ASSERT_EQ(received->size(), 2u);
  EXPECT_NE((*received)[0].get(), memory->fd());
  EXPECT_NE(::fcntl((*received)[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  const auto same = SharedMemory::map(std::move((*received)[0]), 4096);
  ASSERT_TRUE(same);
  memory->bytes()[9] = std::byte{5};
  EXPECT_EQ(same->bytes()[9], std::byte{5});
}

TEST(UnixSocket, ShorterAndLongerMessagesAreNoStruct) {
  const auto ends = connected();
  const std::array<std::byte, sizeof(Numbers) + 1> bytes{};
  Numbers got;
  ASSERT_TRUE(send(ends.first.get(), std::span{bytes}.first(sizeof(Numbers) - 1), {}));
  EXPECT_FALSE(receive_struct(ends.second.get(), got));
  ASSERT_TRUE(send(ends.first.get(), bytes, {}));
  EXPECT_FALSE(receive_struct(ends.second.get(), got));
  ASSERT_TRUE(send_struct(ends.first.get(), Numbers{4, 4}));  // And the socket is still in step.
  EXPECT_TRUE(receive_struct(ends.second.get(), got));
  EXPECT_EQ(got.first, 4u);
}

TEST(UnixSocket, RefusedMessagesLeakNoDescriptor) {
  const auto ends = connected();
  const std::size_t before = open_descriptors();
  const std::array fds = {ends.first.get(), ends.first.get()};
  const std::array<std::byte, sizeof(Numbers) + 1> bytes{};
  ASSERT_TRUE(send(ends.first.get(), bytes, fds));
  Numbers got;
  EXPECT_FALSE(receive_struct(ends.second.get(), got));
  EXPECT_EQ(open_descriptors(), before);
}

TEST(UnixSocket, TooManyDescriptorsAreNotSent) {
  const auto ends = connected();
  std::array<int, kFdsMax + 1> fds;
  fds.fill(ends.first.get());
  EXPECT_FALSE(send_struct(ends.first.get(), Numbers{}, fds));
  EXPECT_TRUE(send_struct(ends.first.get(), Numbers{}, std::span{fds}.first(kFdsMax)));
  Numbers got;
  const auto received = receive_struct(ends.second.get(), got);
  ASSERT_TRUE(received);
  EXPECT_EQ(received->size(), kFdsMax);
}

TEST(UnixSocket, NothingWaitingIsNotThePeersEnd) {
  auto ends = connected();
  make_nonblocking(ends.second);
  std::array<std::byte, 8> bytes;
  EXPECT_FALSE(receive(ends.second.get(), bytes));
  ends.first.reset();
  const auto end = receive(ends.second.get(), bytes);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->size, 0u);
}

TEST(UnixSocket, SendingToAPeerThatIsGoneFailsWithoutASignal) {
  auto ends = connected();
  ends.second.reset();
  EXPECT_FALSE(send_struct(ends.first.get(), Numbers{}));
}

TEST(UnixSocket, PeerIsTheProcessThatMadeThePair) {
  const auto ends = connected();
  const auto peer = peer_of(ends.first.get());
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->uid, ::geteuid());
  EXPECT_FALSE(peer_of(-1));
}

TEST_F(SocketAtPath, ListensForItsOwnerOnlyAndTakesConnections) {
  const std::string path = folder_ + "/h1.nf";
  const auto listener = listen(path, Type::kPacket);
  ASSERT_TRUE(listener) << listener.error();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  EXPECT_FALSE(accept(listener->get()));
  const auto client = connect(path, Type::kPacket);
  ASSERT_TRUE(client) << client.error();
  const auto server = accept(listener->get());
  ASSERT_TRUE(server);
  ASSERT_TRUE(send_struct(client->get(), Numbers{1, 0}));
  Numbers got;
  EXPECT_TRUE(receive_struct(server->get(), got));
  EXPECT_EQ(got.first, 1u);
}

TEST_F(SocketAtPath, ListeningReplacesWhatAKilledHostLeft) {
  const std::string path = folder_ + "/h1.nf";
  ASSERT_TRUE(listen(path, Type::kPacket));  // Closed at once; its file stays.
  ASSERT_TRUE(std::filesystem::exists(path));
  EXPECT_FALSE(connect(path, Type::kPacket));
  const auto again = listen(path, Type::kPacket);
  ASSERT_TRUE(again) << again.error();
  EXPECT_TRUE(connect(path, Type::kPacket));
}

TEST_F(SocketAtPath, ConnectingWhereNobodyListensSaysWhere) {
  const auto refused = connect(folder_ + "/absent", Type::kPacket);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error(), HasSubstr(folder_ + "/absent: No such file"));
}

TEST_F(SocketAtPath, PathsThatNoSocketCanHaveAreRefused) {
  const std::string path = folder_ + "/" + std::string(120, 'a');
  const auto expect_refused = [](const Result<Fd, std::string>& made) {
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error(), HasSubstr("not a socket path of 1 to 107 bytes"));
  };
  expect_refused(listen(path, Type::kPacket));
  expect_refused(connect(path, Type::kStream));
  expect_refused(connect("", Type::kStream));
}

}  // namespace
}  // namespace sluice::unix_socket
