#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>

#include "backends/process/nf.hpp"
#include "core/function/registry.hpp"

namespace {

constexpr const char* kExample =
    "A host starts its instances itself. By hand, one more instance of a service that its file "
    "lets grow:\n"
    "  sluice nf --socket /run/sluice/h1.nf --service ids";

}  // namespace

/// `sluice nf`: one instance of a built-in function, in a process of its own.
int main(int argc, char** argv) {
  sluice::nf::Options options;
  CLI::App app{"Runs an instance of a built-in network function for a host of this machine.",
               "sluice nf"};
  app.footer(kExample);
  auto* socket = app.add_option("--socket", options.socket, "The host's socket for NFs");
  auto* service = app.add_option("--service", options.service, "Which service to serve");
  socket->needs(service);
  service->needs(socket);
  bool list = false;
  app.add_flag("--list", list, "List the built-in functions");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const sluice::FunctionRegistry functions = sluice::built_in_functions();
  if (list) {
    for (const auto name : functions.names()) std::puts(std::string(name).c_str());
    return 0;
  }
  return sluice::nf::run(options, functions);
}
