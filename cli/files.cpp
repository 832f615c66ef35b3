#include "cli/files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "core/deployment/parser.hpp"

namespace sluice::cli {
namespace {

// Captures are the largest; beyond that memory is the limit, not the format.
constexpr std::size_t kNamedFileBytesMax = std::size_t{1} << 30;

Result<std::string> read_text(const std::string& path, const std::string& what) {
  auto text = read_file(path, DeploymentLimits::kFileBytesMax);
  if (text && text->size() <= DeploymentLimits::kFileBytesMax) return std::move(*text);
  // Filled in by parts: GCC 12 sees uninitialised bytes in a nested initialiser here.
  ConfigError error;
  error.place.file = path;
  error.problem = text ? "file too large" : "cannot be read: " + text.error();
  error.expected =
      text ? "at most " + std::to_string(DeploymentLimits::kFileBytesMax) + " bytes" : what;
  return unexpected(std::move(error));
}

}  // namespace

Result<std::string, std::string> read_file(const std::string& path, std::size_t bytes_max) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return unexpected(std::string("it is a directory"));
  }
  const auto close = [](std::FILE* file) { std::fclose(file); };
  const std::unique_ptr<std::FILE, decltype(close)> file(std::fopen(path.c_str(), "rb"), close);
  if (!file) return unexpected(std::string(std::strerror(errno)));
  std::string text;
  constexpr std::size_t kChunk = 1u << 16;
  while (text.size() <= bytes_max) {
    const std::size_t before = text.size();
    text.resize(before + std::min(kChunk, bytes_max + 1 - before));
    const std::size_t count = std::fread(text.data() + before, 1, text.size() - before, file.get());
    text.resize(before + count);
    if (count == 0) break;
  }
  if (std::ferror(file.get()) != 0) return unexpected(std::string(std::strerror(errno)));
  return text;
}

Result<std::string> read_deployment_file(const std::string& path) {
  return read_text(path, "a deployment file");
}

Result<std::string> read_site_file(const std::string& path) {
  return read_text(path, "a site file");
}

Result<std::string> read_costs_file(const std::string& path) {
  return read_text(path, "a file of sluice bench calibrate");
}

FileReader reader_beside(const std::string& deployment_path) {
  const std::filesystem::path folder = std::filesystem::path(deployment_path).parent_path();
  return [folder](const std::string& path) -> Result<std::string, std::string> {
    auto bytes = read_file((folder / path).string(), kNamedFileBytesMax);
    if (bytes && bytes->size() > kNamedFileBytesMax) {
      return unexpected(std::string("larger than 1 GiB"));
    }
    return bytes;
  };
}

}  // namespace sluice::cli
