// sluice-apply: changes the running hosts of this machine to another deployment file.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "backends/process/run_dir.hpp"
#include "cli/ctl/host_client.hpp"
#include "cli/exit_codes.hpp"
#include "cli/files.hpp"
#include "core/deployment/parser.hpp"

namespace sluice::cli {
namespace {

constexpr const char* kExample =
    "Flows that live finish as they began; new ones take the new way, all at once, as soon as "
    "what\n"
    "is new serves. A host that has no room for the change stays as it is.\n\n"
    "Example:\n"
    "  sluice apply web-with-ids.yaml\n\n"
    "Exit: 0 done, 1 refused or no answer, 2 usage or bad file, 3 no such host runs.";

struct Arguments {
  std::string run_dir;
  std::string host;
  std::string file;
};

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

/// Hosts that run and that the file has, or the one that is asked for.
std::vector<std::string> targets(const Arguments& arguments, const Deployment& deployment,
                                 const std::vector<std::string>& running) {
  std::vector<std::string> names;
  for (const HostSpec& host : deployment.hosts) {
    const bool wanted = arguments.host.empty() || arguments.host == host.name;
    const bool runs = std::ranges::find(running, host.name) != running.end();
    if (wanted && runs) names.push_back(host.name);
  }
  return names;
}

/// @return Whether it was done. A host reads the files that the deployment names itself, so it gets
/// the whole path.
bool apply_to(const Arguments& arguments, const std::string& host, const std::string& text) {
  std::error_code error;
  const std::string path = std::filesystem::absolute(arguments.file, error).string();
  const auto answer =
      ask_host(arguments.run_dir, host, {{"do", "apply"}, {"file", text}, {"path", path}});
  if (answer && answer->value("ok", false)) {
    std::printf("%s: runs %s\n", host.c_str(), answer->value("deployment", "").c_str());
    return true;
  }
  const std::string problem = answer ? answer->value("error", "refused") : answer.error();
  complain("sluice apply: host " + host + ": " + problem, kExitFailed);
  return false;
}

int apply(const Arguments& arguments) {
  const auto text = read_deployment_file(arguments.file);
  if (!text) return complain(text.error().to_string(), kExitUsage);
  const auto deployment =
      parse_deployment(*text, arguments.file, built_in_functions(), reader_beside(arguments.file));
  if (!deployment) return complain(deployment.error().to_string(), kExitUsage);
  std::vector<std::string> running = running_hosts(arguments.run_dir);
  const std::vector<std::string> hosts = targets(arguments, *deployment, running);
  if (hosts.empty()) {
    if (running.empty()) running.emplace_back("none");
    std::vector<std::string> wanted = {arguments.host};
    if (arguments.host.empty()) {
      wanted.clear();
      for (const HostSpec& host : deployment->hosts) wanted.push_back(host.name);
    }
    return complain(
        fmt::format("sluice apply: no such host runs with its sockets in {}; got {}; "
                    "expected {}, or another --run-dir",
                    arguments.run_dir, fmt::join(running, ", "), fmt::join(wanted, ", ")),
        kExitEnvironment);
  }
  bool all = true;
  for (const std::string& host : hosts) all = apply_to(arguments, host, *text) && all;
  return all && std::fflush(stdout) == 0 ? kExitDone : kExitFailed;
}

int run(int argc, char** argv) {
  Arguments arguments;
  arguments.run_dir = default_run_dir();
  CLI::App app{"Changes running hosts to another deployment file.", "sluice apply"};
  app.footer(kExample);
  app.add_option("FILE", arguments.file, "The deployment file")->required();
  app.add_option("--host", arguments.host,
                 "Only this one; else all that the file has and that run");
  app.add_option("--run-dir", arguments.run_dir, "Folder of the hosts' sockets")
      ->capture_default_str();
  // CLI11 throws on a wrong command line, and for --help.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  return apply(arguments);
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  return sluice::cli::run(argc, argv);
}
