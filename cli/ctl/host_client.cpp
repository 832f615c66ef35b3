#include "cli/ctl/host_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "backends/process/unix_socket.hpp"

namespace sluice::cli {
namespace {

constexpr time_t kAnswerSecondsMax = 15;  // A change may take 10 s.
constexpr std::size_t kAnswerBytesMax = std::size_t{16} << 20;
constexpr const char* kSuffix = ".control";

std::string socket_of(const std::string& run_dir, const std::string& host) {
  return run_dir + "/" + host + kSuffix;
}

std::string last_error() {
  if (errno == EAGAIN) return "no answer in " + std::to_string(kAnswerSecondsMax) + " s";
  return std::strerror(errno);
}

}  // namespace

std::vector<std::string> running_hosts(const std::string& run_dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir, error)) {
    const std::string name = entry.path().stem().string();
    if (entry.path().extension() != kSuffix) continue;
    if (unix_socket::connect(socket_of(run_dir, name), unix_socket::Type::kStream)) {
      names.push_back(name);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<nlohmann::ordered_json, std::string> ask_host(const std::string& run_dir,
                                                     const std::string& host,
                                                     const nlohmann::ordered_json& request) {
  const auto socket = unix_socket::connect(socket_of(run_dir, host), unix_socket::Type::kStream);
  if (!socket) return unexpected(socket.error());
  const timeval patience{.tv_sec = kAnswerSecondsMax, .tv_usec = 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(socket->get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const std::string line =
      request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t count =
        ::send(socket->get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unexpected(last_error());
    sent += static_cast<std::size_t>(count);
  }
  std::string answer;
  std::array<char, 65536> chunk;
  while (answer.empty() || answer.back() != '\n') {
    const ssize_t count = ::recv(socket->get(), chunk.data(), chunk.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unexpected(last_error());
    if (count == 0) return unexpected(std::string("it hung up without an answer"));
    answer.append(chunk.data(), static_cast<std::size_t>(count));
    if (answer.size() > kAnswerBytesMax) return unexpected(std::string("its answer has no end"));
  }
  auto json = nlohmann::ordered_json::parse(answer, nullptr, false);
  if (!json.is_object()) return unexpected(std::string("its answer is no JSON object"));
  return json;
}

}  // namespace sluice::cli
