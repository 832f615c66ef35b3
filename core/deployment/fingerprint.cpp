#include "core/deployment/fingerprint.hpp"

#include <algorithm>
#include <vector>

namespace sluice::deployment {

void Fingerprint::add_bytes(std::string_view bytes) {
  for (const char byte : bytes) {
    hash_ ^= static_cast<unsigned char>(byte);
    hash_ *= 0x100000001b3u;
  }
}

void Fingerprint::add(std::string_view text) {
  add_bytes(std::to_string(text.size()) + ":");
  add_bytes(text);
}

void Fingerprint::add(const ConfigValue& value) {
  switch (value.kind()) {
    case ConfigValue::Kind::kNull:
      add_bytes("~");
      return;
    case ConfigValue::Kind::kScalar:
      add_bytes("=");
      add(value.text());
      return;
    case ConfigValue::Kind::kList:
      add_bytes("[");
      for (const ConfigValue& item : value.items()) add(item);
      add_bytes("]");
      return;
    case ConfigValue::Kind::kMap:
      break;
  }
  std::vector<const ConfigValue::Entry*> entries;
  for (const ConfigValue::Entry& entry : value.entries()) entries.push_back(&entry);
  std::ranges::sort(entries, {}, [](const ConfigValue::Entry* entry) { return entry->key; });
  add_bytes("{");
  for (const ConfigValue::Entry* entry : entries) {
    add(entry->key);
    add(entry->value);
  }
  add_bytes("}");
}

std::string Fingerprint::text() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[hash_ >> shift & 15u];
  return text;
}

}  // namespace sluice::deployment
