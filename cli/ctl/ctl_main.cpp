// sluice-ctl: an operator's hand on a running host.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "backends/process/run_dir.hpp"
#include "cli/ctl/host_client.hpp"
#include "cli/ctl/status_view.hpp"
#include "cli/exit_codes.hpp"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kExample =
    "Example:\n"
    "  sluice ctl status\n"
    "  sluice ctl --host h1 start firewall\n"
    "  sluice ctl drain firewall.2\n\n"
    "Exit: 0 done, 1 refused or no answer, 2 usage, 3 no such host runs.";

struct Arguments {
  std::string run_dir;
  std::string host;
  bool json = false;
  std::string target;  ///< A service or an instance, as the command has it.
};

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "sluice ctl: %s\n", text.c_str());
  return code;
}

/// Fills in the host that is meant when there is only one. @return The exit code if there is none.
int choose_host(Arguments& arguments) {
  const std::vector<std::string> running = running_hosts(arguments.run_dir);
  if (running.empty()) {
    return complain("no host runs with its sockets in " + arguments.run_dir +
                        "; expected a running `sluice host`, or another --run-dir",
                    kExitEnvironment);
  }
  if (arguments.host.empty() && running.size() > 1) {
    return complain(fmt::format("--host: more than one host runs; expected one of {}",
                                fmt::join(running, ", ")),
                    kExitUsage);
  }
  if (arguments.host.empty()) arguments.host = running.front();
  if (std::find(running.begin(), running.end(), arguments.host) != running.end()) return kExitDone;
  return complain(fmt::format("--host: no such host runs; got {}; expected one of {}",
                              arguments.host, fmt::join(running, ", ")),
                  kExitEnvironment);
}

/// What a host says beyond "ok", one line each.
void print_answer(const Arguments& arguments, const std::string& command, const Json& answer) {
  const std::string target = arguments.target.empty() ? "" : " " + arguments.target;
  std::printf("%s: %s%s: done\n", arguments.host.c_str(), command.c_str(), target.c_str());
  for (const auto& [key, value] : answer.items()) {
    if (key == "ok") continue;
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    std::printf("  %s: %s\n", key.c_str(), text.c_str());
  }
}

int carry_out(Arguments arguments, const std::string& command, Json request) {
  if (const int code = choose_host(arguments); code != kExitDone) return code;
  request["do"] = command;
  const auto answer = ask_host(arguments.run_dir, arguments.host, request);
  if (!answer) {
    return complain("host " + arguments.host + ": " + answer.error(), kExitFailed);
  }
  const bool done = answer->value("ok", false);
  if (arguments.json) {
    std::printf("%s\n", answer->dump().c_str());
  } else if (!done) {
    return complain("host " + arguments.host + ": " + answer->value("error", "refused"),
                    kExitFailed);
  } else if (command == "status") {
    std::fputs(view_of(*answer, nullptr, {.width = 100}).c_str(), stdout);
  } else {
    print_answer(arguments, command, *answer);
  }
  return done && std::fflush(stdout) == 0 ? kExitDone : kExitFailed;
}

int run(int argc, char** argv) {
  Arguments arguments;
  arguments.run_dir = default_run_dir();
  CLI::App app{"Shows and changes what a running host does.", "sluice ctl"};
  app.footer(kExample);
  app.require_subcommand(1);
  app.fallthrough();  // Options are taken before and behind the command.
  app.add_option("--host", arguments.host, "Which host; needed when more than one runs");
  app.add_option("--run-dir", arguments.run_dir, "Folder of the hosts' sockets")
      ->capture_default_str();
  app.add_flag("--json", arguments.json, "Print the host's answer as it is, one JSON object");
  app.add_subcommand("status", "Show ports, instances, chains and drops");
  app.add_subcommand("start", "Start one more instance of a service")
      ->add_option("SERVICE", arguments.target, "As in the deployment file")
      ->required();
  const auto of_instance = [&](const char* command, const char* help) {
    app.add_subcommand(command, help)
        ->add_option("INSTANCE", arguments.target, "As `status` shows it: firewall.2")
        ->required();
  };
  of_instance("stop", "Stop an instance once its flows have ended");
  of_instance("drain", "Give an instance no new flows, and stop it when it has none");
  of_instance("quarantine", "Kill an instance at once and move its flows");
  app.add_subcommand("shutdown", "Stop the host");
  // CLI11 throws on a wrong command line, and for --help.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  const std::string command = app.get_subcommands().front()->get_name();
  Json request = Json::object();
  if (command == "start") {
    request["service"] = arguments.target;
  } else if (!arguments.target.empty()) {
    request["instance"] = arguments.target;
  }
  return carry_out(arguments, command, std::move(request));
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  return sluice::cli::run(argc, argv);
}
