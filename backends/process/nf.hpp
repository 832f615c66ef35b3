#pragma once

#include <string>

#include "core/function/registry.hpp"

/// How a program becomes an NF instance of a host on the same machine. No DPDK is in it: packets,
/// rings and control page arrive as shared memory over a Unix socket (wire.hpp).
///
///     int main(int argc, char** argv) { return sluice::nf::main_of(argc, argv, make_program); }
///
/// `make_program` gets the service's own settings from the deployment file (for a service of
/// `function: external`, those under `settings:`) and the files that they name, and gives back a
/// Program, or what is wrong with the settings.
namespace sluice::nf {

struct Options {
  /// Path of the host's socket for NFs; empty: the host started this program, and its socket is
  /// inherited.
  std::string socket;
  std::string service;  ///< Which service to serve; only with `socket`.
};

/// Serves until the host says stop or is gone.
/// @return An exit code: 0 stopped by the host; 1 refused, or the host is gone; 2 wrong settings.
/// What went wrong is said on stderr.
[[nodiscard]] int run(const Options& options, const ProgramFactory& make_program);
/// The same with the functions of a registry, of which the host names one.
[[nodiscard]] int run(const Options& options, const FunctionRegistry& functions);

/// The main function of an NF program: reads `[--socket PATH --service NAME]`, then run().
[[nodiscard]] int main_of(int argc, char** argv, const ProgramFactory& make_program);

}  // namespace sluice::nf
