// Any bytes as the value of a datastore's node: they give a record, which written again is the same
// text but for the order of its lines, or one line that says why not.
//
// link: sluice::cluster
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.hpp"
#include "core/cluster/records.hpp"

namespace sluice {
namespace {

template <class Parse>
void try_record(std::string_view text, Parse parse) {
  const std::string path = "/sluice/node";
  const auto record = parse(text, path);
  if (!record) {
    const std::string message = record.error().to_string();
    SLUICE_CHECK(message.starts_with(path + ": "));
    SLUICE_CHECK(message.find('\n') == std::string::npos && message.size() < 400);
    return;
  }
  const auto again = parse(to_text(*record), path);
  SLUICE_CHECK(again.has_value());
  SLUICE_CHECK(*again == *record);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // NOLINTNEXTLINE: bytes are characters here.
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  sluice::try_record(text, sluice::parse_host_record);
  sluice::try_record(text, sluice::parse_service_record);
  sluice::try_record(text, sluice::parse_instance_record);
  return 0;
}
