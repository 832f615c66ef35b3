// sluice-check: reads deployment files as every other verb does, and starts nothing.
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/exit_codes.hpp"
#include "cli/files.hpp"
#include "cli/summary.hpp"
#include "core/deployment/parser.hpp"
#include "core/deployment/site.hpp"
#include "core/function/registry.hpp"

namespace sluice::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  std::vector<std::string> overrides;
  std::string site;
  bool json = false;
  bool schema = false;
  bool site_schema = false;
};

Result<Deployment> check_file(const std::string& path, const std::vector<std::string>& overrides,
                              const FunctionRegistry& functions) {
  const auto text = read_deployment_file(path);
  if (!text) return unexpected(text.error());
  auto tree = parse_yaml(*text, path);
  if (!tree) return unexpected(tree.error());
  for (const std::string& setting : overrides) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      const Place place{"--set " + setting, 0, 0};
      return unexpected(ConfigError{place, "no value", "", "KEY=VALUE"});
    }
    if (auto done = apply_override(*tree, setting.substr(0, equals), setting.substr(equals + 1));
        !done) {
      return unexpected(done.error());
    }
  }
  return check_deployment(*tree, functions, reader_beside(path));
}

// What the site file says for `deployment`; nothing without one.
Result<std::string> check_site(const std::string& path, const Deployment& deployment) {
  if (path.empty()) return std::string{};
  const auto text = read_site_file(path);
  if (!text) return unexpected(text.error());
  const auto site = parse_site(*text, path, deployment);
  if (!site) return unexpected(site.error());
  return summary(*site, path, deployment);
}

// All or nothing on stdout, so that a reader of it never takes half for the whole.
int check(const Options& options) {
  const FunctionRegistry functions = built_in_functions();
  std::string output;
  bool failed = false;
  for (const std::string& path : options.files) {
    const auto deployment = check_file(path, options.overrides, functions);
    const auto site = deployment.and_then(
        [&](const Deployment& checked) { return check_site(options.site, checked); });
    if (site) {
      output += options.json ? resolved_json(*deployment) : summary(*deployment) + *site;
      continue;
    }
    std::fprintf(stderr, "%s\n", site.error().to_string().c_str());
    failed = true;
  }
  if (failed) return kExitUsage;
  std::fputs(output.c_str(), stdout);
  return std::fflush(stdout) == 0 ? kExitDone : kExitFailed;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app{"Checks deployment files and shows what they say."};
  app.name("sluice check");
  app.footer(
      "Example:\n  sluice check --set run.seed=7 experiments/autoscale/autoscale.yaml\n"
      "  sluice check --site laptop.yaml experiments/autoscale/autoscale.yaml\n\n"
      "Exit: 0 good, 2 bad file or usage; each message is\n"
      "file:line:column: key: problem; got X; expected Y.");
  auto* files = app.add_option("FILE", options.files, "Deployment files");
  app.add_option("--set", options.overrides, "Change a value, as scaling.up.occupancy=0.5")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--site", options.site, "Check this site file as well, for each FILE")
      ->type_name("SITE");
  app.add_flag("--json", options.json, "Print the files with every default, as JSON");
  auto* schema = app.add_flag("--schema", options.schema, "Print the JSON Schema of the file");
  schema->excludes(files);
  app.add_flag("--site-schema", options.site_schema, "Print the JSON Schema of the site file")
      ->excludes(files)
      ->excludes(schema);
  // CLI11 throws on a wrong command line, and for --help.
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitDone : kExitUsage;
  }
  if (options.schema || options.site_schema) {
    const std::string_view text = options.schema ? deployment_schema() : site_schema();
    std::fputs(std::string(text).c_str(), stdout);
    return kExitDone;
  }
  if (options.files.empty()) {
    std::fputs("sluice check: no file; expected FILE, or --help\n", stderr);
    return kExitUsage;
  }
  return check(options);
}

}  // namespace
}  // namespace sluice::cli

int main(int argc, char** argv) {
  return sluice::cli::run(argc, argv);
}
