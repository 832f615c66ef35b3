#include "core/functions/external.hpp"

#include <utility>

#include "core/check.hpp"
#include "core/functions/functions.hpp"

namespace sluice {

std::unique_ptr<NetworkFunction> ExternalProgram::make_instance(const InstanceConfig&) const {
  constexpr bool an_external_program_runs_in_this_process = false;
  SLUICE_CHECK(an_external_program_runs_in_this_process);
  return nullptr;
}

ProgramResult make_external_program(const ConfigValue& config, const std::string& path,
                                    const FileReader& read_file) {
  MapReader reader(config, path);
  Traits traits;
  traits.name = "external";
  reader.require("program");
  traits.external_program = reader.string("program");
  if (const ConfigValue* program = reader.value("program");
      program != nullptr && program->is_scalar() && traits.external_program.empty()) {
    reader.fail(program->place(), "program", "no program", program->describe(),
                "the path of an executable file");
  }
  traits.keeps_flow_state = reader.boolean("keeps_flow_state", false);
  traits.generates = reader.boolean("generates", false);
  traits.bidirectional = reader.boolean("bidirectional", false);
  if (traits.bidirectional) traits.affinity = Affinity::kSession;
  if (const ConfigValue* settings = reader.value("settings");
      settings != nullptr && !settings->is_map()) {
    reader.fail(settings->place(), "settings", "not a map", settings->describe(),
                "a map, for the program");
  }
  for (const std::string& file : reader.strings("files")) {
    if (const auto bytes = read_file(file); !bytes) {
      reader.fail(reader.value("files")->place(), "files", "cannot read the file",
                  "\"" + file + "\": " + bytes.error(), "files that the program asks for");
    }
  }
  if (auto error = reader.finish()) return unexpected(*error);
  return std::make_unique<ExternalProgram>(std::move(traits));
}

}  // namespace sluice
