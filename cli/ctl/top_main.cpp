// sluice-top: what the hosts of this machine do, live.
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "backends/process/run_dir.hpp"
#include "cli/ctl/host_client.hpp"
#include "cli/ctl/status_view.hpp"
#include "cli/ctl/terminal.hpp"
#include "cli/exit_codes.hpp"

namespace sluice::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPlainWidth = 100;  ///< Of a table that goes into a file.

struct Options {
  std::string run_dir;
  std::vector<std::string> hosts;
  double interval_s = 1;
  bool once = false;
};

/// The last two statuses of each host.
struct Watched {
  Json now, before;
  std::string error;
};

class Top {
 public:
  explicit Top(Options options) : options_(std::move(options)) {}

  /// Asks all hosts. @return Whether any runs.
  bool ask() {
    const std::vector<std::string> running = running_hosts(options_.run_dir);
    std::erase_if(watched_, [&](const auto& each) {
      return std::find(running.begin(), running.end(), each.first) == running.end();
    });
    for (const std::string& name : running) {
      const bool wanted =
          options_.hosts.empty() ||
          std::find(options_.hosts.begin(), options_.hosts.end(), name) != options_.hosts.end();
      if (!wanted) continue;
      Watched& host = watched_[name];
      auto answer = ask_host(options_.run_dir, name, {{"do", "status"}});
      host.error = answer ? "" : answer.error();
      if (!answer) continue;
      host.before = std::exchange(host.now, std::move(*answer));
    }
    return !watched_.empty();
  }

  [[nodiscard]] std::string text(const ViewOptions& view) const {
    std::string text;
    for (const auto& [name, host] : watched_) {
      if (!text.empty()) text += "\n";
      if (!host.error.empty()) {
        text += name + "  " + host.error + "\n";
      } else {
        text += view_of(host.now, host.before.is_object() ? &host.before : nullptr, view);
      }
    }
    return text.empty() ? nobody() + "\n" : text;
  }

  [[nodiscard]] std::string nobody() const {
    return (options_.hosts.empty() ? "no host runs" : "none of these hosts runs") +
           std::string(" with its sockets in ") + options_.run_dir;
  }

  int show_once() {
    if (!ask()) {
      std::fprintf(stderr, "sluice top: %s\n", nobody().c_str());
      return kExitEnvironment;
    }
    ::poll(nullptr, 0, milliseconds());  // Rates need two looks.
    if (!ask()) {
      std::fprintf(stderr, "sluice top: %s any more\n", nobody().c_str());
      return kExitEnvironment;
    }
    std::fputs(text({.width = kPlainWidth}).c_str(), stdout);
    return std::fflush(stdout) == 0 ? kExitDone : kExitFailed;
  }

  int show_live() {
    Terminal terminal;
    auto event = Terminal::Event::kTime;
    while (event != Terminal::Event::kEnd) {
      if (event == Terminal::Event::kTime) ask();
      terminal.draw(text({.width = terminal.size().columns, .colour = true}), "q: quit");
      event = terminal.wait(milliseconds());
    }
    return kExitDone;
  }

 private:
  [[nodiscard]] int milliseconds() const { return static_cast<int>(options_.interval_s * 1000); }

  Options options_;
  std::map<std::string, Watched> watched_;
};

int run(int argc, char** argv) {
  Options options;
  options.run_dir = default_run_dir();
  CLI::App app{"Shows live what the hosts of this machine do; q ends it.", "sluice top"};
  app.footer(
      "Without a terminal it prints one table, as with --once.\n\n"
      "Example:\n  sluice top\n  sluice top --once --host h1\n\n"
      "Exit: 0 done, 2 usage, 3 no such host runs.");
  app.add_option("--host", options.hosts, "Only these hosts")->type_name("HOST");
  app.add_option("--run-dir", options.run_dir, "Folder of the hosts' sockets")
      ->capture_default_str();
  app.add_option("--interval", options.interval_s, "Seconds between two looks")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  app.add_flag("--once", options.once, "Print one table and end");
  // CLI11 throws on a wrong command line, and for --help.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  const bool live = !options.once && Terminal::available();
  Top top{std::move(options)};
  return live ? top.show_live() : top.show_once();
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  return sluice::cli::run(argc, argv);
}
