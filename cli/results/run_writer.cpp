#include "cli/results/run_writer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace sluice::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

tl::unexpected<ConfigError> refuse(const std::string& path, std::string problem, std::string got,
                                   std::string expected = {}) {
  return tl::unexpected(
      ConfigError{Place{path, 0, 0}, std::move(problem), std::move(got), std::move(expected)});
}

/// Bytes that are not UTF-8 are replaced: json would throw, and a result is not the place to fail.
std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Json to_json(const RunManifest& manifest) {
  Json versions = Json::object();
  for (const auto& [library, version] : manifest.versions) versions[library] = version;
  return Json{{"name", manifest.name},
              {"question", manifest.question},
              {"complete", manifest.complete},
              {"commit", manifest.commit},
              {"versions", versions},
              {"seed", manifest.seed},
              {"trace_hash", manifest.trace_hash},
              {"resolved_hash", manifest.resolved_hash},
              {"command", manifest.command},
              {"machine", manifest.machine},
              {"resolved_file", manifest.resolved_file}};
}

}  // namespace

Result<std::unique_ptr<RunWriter>> RunWriter::create(const std::string& folder) {
  const fs::path path = fs::path(folder).lexically_normal();
  const fs::path wanted = path.has_filename() ? path : path.parent_path();
  if (wanted.empty() || !wanted.has_filename() || wanted.filename() == "..") {
    return refuse(folder, "no folder for results", "'" + folder + "'", "a path with a name");
  }
  std::error_code error;
  if (fs::exists(wanted, error) && !fs::exists(wanted / "manifest.json", error) &&
      !(fs::is_directory(wanted, error) && fs::is_empty(wanted, error))) {
    return refuse(wanted.string(), "exists and holds no results of a run", "something else",
                  "a new name, or the folder of an earlier run");
  }
  const fs::path temporary =
      wanted.parent_path() / fmt::format(".{}.partial-{}", wanted.filename().string(), ::getpid());
  fs::remove_all(temporary, error);
  fs::create_directories(temporary, error);
  if (error) return refuse(temporary.string(), "cannot be made", error.message());
  std::unique_ptr<RunWriter> writer(new RunWriter(wanted.string(), temporary.string()));
  if (!writer->series_.good() || !writer->events_) {
    return refuse(temporary.string(), "cannot be written", std::strerror(errno));
  }
  return writer;
}

RunWriter::RunWriter(std::string folder, std::string temporary)
    : folder_(std::move(folder)),
      temporary_(std::move(temporary)),
      series_(temporary_ + "/series.csv"),
      events_(temporary_ + "/events.jsonl", std::ios::binary) {}

RunWriter::~RunWriter() {
  if (finished_) return;
  (void)series_.close();
  events_.close();
  captures_.clear();
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void RunWriter::event(Instant at, std::string_view kind, const Json& fields) {
  Json line{{"at_ns", to_ns(at)}, {"kind", kind}};
  for (const auto& [key, value] : fields.items()) line[key] = value;
  events_ << dump(line, -1) << '\n';
}

PcapWriter& RunWriter::capture(const std::string& name) {
  auto& entry = captures_[name];
  if (entry == nullptr) {
    std::string file = name;
    for (char& each : file) {
      if (each == '/' || each == '\0') each = '_';
    }
    std::error_code ignored;  // The writer itself says when it cannot write.
    fs::create_directories(temporary_ + "/captures", ignored);
    entry = std::make_unique<PcapWriter>(temporary_ + "/captures/" + file + ".pcap");
  }
  return *entry;
}

Result<void> RunWriter::write(const std::string& name, const std::string& text) const {
  std::ofstream stream(temporary_ + "/" + name, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) return refuse(temporary_ + "/" + name, "cannot be written", std::strerror(errno));
  return {};
}

Result<void> RunWriter::close_files() {
  events_.close();
  if (!series_.close() || events_.fail()) {
    return refuse(temporary_, "cannot be written", std::strerror(errno));
  }
  for (auto& [name, capture] : captures_) {
    if (!capture->close()) {
      return refuse(temporary_ + "/captures/" + name + ".pcap", "cannot be written",
                    std::strerror(errno));
    }
  }
  return {};
}

Result<void> RunWriter::finish(const RunManifest& manifest, const Json& summary,
                               const Json& timing) {
  if (auto closed = close_files(); !closed) return closed;
  if (auto done = write("summary.json", dump(summary, 2) + "\n"); !done) return done;
  if (auto done = write("timing.json", dump(timing, 2) + "\n"); !done) return done;
  if (auto done = write("manifest.json", dump(to_json(manifest), 2) + "\n"); !done) return done;
  std::error_code error;
  fs::remove_all(folder_, error);
  if (!error) fs::rename(temporary_, folder_, error);
  if (error) return refuse(folder_, "cannot be replaced", error.message());
  finished_ = true;
  return {};
}

}  // namespace sluice::cli
