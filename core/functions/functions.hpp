#pragma once

#include <memory>
#include <string>

#include "core/function/registry.hpp"

/// The factories of the built-in functions, each a ProgramFactory: it checks every setting, refuses
/// unknown ones with their place, and starts nothing. What a function does and which settings it
/// knows stands in the header of its name. built_in_functions() (registry.hpp) names them all.
namespace sluice {

using ProgramResult = Result<std::unique_ptr<Program>>;

[[nodiscard]] ProgramResult make_busy_program(const ConfigValue& config, const std::string& path,
                                              const FileReader& read_file);
[[nodiscard]] ProgramResult make_delay_program(const ConfigValue& config, const std::string& path,
                                               const FileReader& read_file);
[[nodiscard]] ProgramResult make_external_program(const ConfigValue& config,
                                                  const std::string& path,
                                                  const FileReader& read_file);
[[nodiscard]] ProgramResult make_firewall_program(const ConfigValue& config,
                                                  const std::string& path,
                                                  const FileReader& read_file);
[[nodiscard]] ProgramResult make_forward_program(const ConfigValue& config, const std::string& path,
                                                 const FileReader& read_file);
[[nodiscard]] ProgramResult make_ids_program(const ConfigValue& config, const std::string& path,
                                             const FileReader& read_file);
[[nodiscard]] ProgramResult make_load_balancer_program(const ConfigValue& config,
                                                       const std::string& path,
                                                       const FileReader& read_file);
[[nodiscard]] ProgramResult make_load_generator_program(const ConfigValue& config,
                                                        const std::string& path,
                                                        const FileReader& read_file);
[[nodiscard]] ProgramResult make_monitor_program(const ConfigValue& config, const std::string& path,
                                                 const FileReader& read_file);
[[nodiscard]] ProgramResult make_rate_limiter_program(const ConfigValue& config,
                                                      const std::string& path,
                                                      const FileReader& read_file);
[[nodiscard]] ProgramResult make_router_program(const ConfigValue& config, const std::string& path,
                                                const FileReader& read_file);
[[nodiscard]] ProgramResult make_stuck_program(const ConfigValue& config, const std::string& path,
                                               const FileReader& read_file);

}  // namespace sluice
