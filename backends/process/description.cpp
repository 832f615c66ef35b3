#include "backends/process/description.hpp"

#include <utility>

#include <nlohmann/json.hpp>

namespace sluice {
namespace {

using Json = nlohmann::json;

/// [kind, file, line, column, content]: places travel along, so that an NF's own complaint about a
/// setting names the line of the deployment file.
Json to_json(const ConfigValue& value) {
  Json content;
  if (value.is_scalar()) content = value.text();
  if (value.is_list()) {
    content = Json::array();
    for (const ConfigValue& item : value.items()) content.push_back(to_json(item));
  }
  if (value.is_map()) {
    content = Json::array();
    for (const auto& entry : value.entries()) {
      content.push_back({entry.key, entry.place.line, entry.place.column, to_json(entry.value)});
    }
  }
  return {static_cast<int>(value.kind()), value.place().file, value.place().line,
          value.place().column, std::move(content)};
}

ConfigValue from_json(const Json& json) {
  const auto kind = static_cast<ConfigValue::Kind>(json.at(0).get<int>());
  const Place place{json.at(1).get<std::string>(), json.at(2).get<std::uint32_t>(),
                    json.at(3).get<std::uint32_t>()};
  const Json& content = json.at(4);
  switch (kind) {
    case ConfigValue::Kind::kNull:
      return ConfigValue::null(place);
    case ConfigValue::Kind::kScalar:
      return ConfigValue::scalar(content.get<std::string>(), place);
    case ConfigValue::Kind::kList: {
      std::vector<ConfigValue> items;
      for (const Json& item : content) items.push_back(from_json(item));
      return ConfigValue::list(std::move(items), place);
    }
    case ConfigValue::Kind::kMap: {
      std::vector<ConfigValue::Entry> entries;
      for (const Json& entry : content) {
        const Place key_place{place.file, entry.at(1).get<std::uint32_t>(),
                              entry.at(2).get<std::uint32_t>()};
        entries.push_back({entry.at(0).get<std::string>(), key_place, from_json(entry.at(3))});
      }
      return ConfigValue::map(std::move(entries), place);
    }
  }
  return ConfigValue::null(place);
}

}  // namespace

std::vector<std::uint8_t> encode(const InstanceDescription& description) {
  Json files = Json::object();
  for (const auto& [path, bytes] : description.files) {
    files[path] = Json::binary({bytes.begin(), bytes.end()});
  }
  const Json json = {
      {"service", description.service},   {"function", description.function},
      {"number", description.number},     {"seed", description.seed},
      {"labels", description.label_bits}, {"settings", to_json(description.settings)},
      {"files", std::move(files)}};
  return Json::to_cbor(json);
}

Result<InstanceDescription, std::string> decode(std::span<const std::byte> bytes) {
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  // The library throws; an error here is the host's, or garbage in place of one.
  try {
    const Json json = Json::from_cbor(begin, begin + bytes.size());
    InstanceDescription description;
    description.service = json.at("service").get<std::string>();
    description.function = json.at("function").get<std::string>();
    description.number = json.at("number").get<std::uint32_t>();
    description.seed = json.at("seed").get<std::uint64_t>();
    description.label_bits = json.at("labels").get<std::vector<std::uint32_t>>();
    description.settings = from_json(json.at("settings"));
    for (const auto& [path, file] : json.at("files").items()) {
      const auto& content = file.get_binary();
      description.files[path] = std::string(content.begin(), content.end());
    }
    return description;
  } catch (const Json::exception& error) {
    return unexpected(std::string("unreadable description of the service: ") + error.what());
  }
}

}  // namespace sluice
