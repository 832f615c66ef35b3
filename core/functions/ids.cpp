#include "core/functions/ids.hpp"

#include <array>
#include <bit>
#include <utility>

#include "core/functions/function_program.hpp"
#include "core/functions/functions.hpp"
#include "core/functions/pattern_list.hpp"
#include "core/packet/headers.hpp"

namespace sluice {
namespace {

constexpr std::array<std::string_view, 2> kActionNames{"label", "drop"};

// The patterns of both settings; on an error the reader has it.
std::vector<PatternMatcher::Pattern> read_patterns(MapReader& reader, const FileReader& read_file,
                                                   std::span<const std::string> labels) {
  std::vector<PatternMatcher::Pattern> patterns;
  const std::string file = reader.string("patterns");
  const ConfigValue* inline_patterns = reader.value("pattern");
  if (!reader.has("patterns") && inline_patterns == nullptr) reader.require("patterns");
  if (reader.failed()) return {};
  if (reader.has("patterns")) {
    const auto text = read_file(file);
    if (!text) {
      reader.fail(reader.value("patterns")->place(), "patterns", "cannot read the file",
                  "\"" + file + "\": " + text.error(), "a pattern file");
      return {};
    }
    auto parsed = parse_pattern_file(*text, labels, file);
    if (!parsed) {
      reader.fail(parsed.error());
      return {};
    }
    patterns = std::move(*parsed);
  }
  if (inline_patterns == nullptr) return patterns;
  if (!inline_patterns->is_list() || inline_patterns->items().empty()) {
    reader.fail(inline_patterns->place(), "pattern", "not a list of patterns",
                inline_patterns->describe(), "a list such as [\"GET /admin\", \"|90 90|\"]");
    return {};
  }
  for (const ConfigValue& item : inline_patterns->items()) {
    auto pattern = parse_pattern(item.text(), labels, item.place());
    if (!pattern) {
      ConfigError error = pattern.error();
      error.problem = reader.path_of("pattern") + ": " + error.problem;
      reader.fail(std::move(error));
      return {};
    }
    patterns.push_back(std::move(*pattern));
  }
  if (patterns.size() > kPatternCountMax) {
    reader.fail(inline_patterns->place(), "pattern", "too many patterns",
                std::to_string(patterns.size()), "at most " + std::to_string(kPatternCountMax));
  }
  return patterns;
}

std::vector<std::string> read_labels(MapReader& reader) {
  if (!reader.has("labels")) return {};
  std::vector<std::string> labels = reader.strings("labels");
  if (labels.empty() || labels.size() > PatternMatcher::kLabelMax) {
    const ConfigValue* value = reader.value("labels");
    reader.fail(value->place(), "labels", "wrong number of labels", std::to_string(labels.size()),
                "1 to " + std::to_string(PatternMatcher::kLabelMax));
  }
  return labels;
}

}  // namespace

std::span<const std::byte> Ids::payload_of(std::span<const std::byte> frame) noexcept {
  const auto headers = parse(frame);
  if (!headers || headers->l4 == L4::kNone) return {};
  return frame.subspan(headers->payload_offset, headers->payload_length);
}

void Ids::process(PacketBatch& batch, Context& context) noexcept {
  for (Packet& packet : batch) {
    packet.next();
    const auto payload = payload_of(batch.bytes(packet));
    if (payload.empty()) continue;
    totals_.scanned_byte_count += payload.size();
    std::uint32_t labels = options_.matcher->scan(payload);
    if (labels == 0) continue;
    ++totals_.match_count;
    if (options_.action == Action::kDrop) {
      packet.drop(DropReason::kRule);
      continue;
    }
    for (; labels != 0; labels &= labels - 1) {
      context.set_label(packet, static_cast<std::uint32_t>(std::countr_zero(labels)));
    }
  }
}

ProgramResult make_ids_program(const ConfigValue& config, const std::string& path,
                               const FileReader& read_file) {
  MapReader reader(config, path);
  Traits traits;
  traits.name = "ids";
  traits.labels = read_labels(reader);
  PatternMatcher::Options matcher_options;
  matcher_options.nocase = reader.boolean("nocase", false);
  Ids::Options options;
  options.action = static_cast<Ids::Action>(reader.choice("action", kActionNames, 0));
  auto patterns = read_patterns(reader, read_file, traits.labels);
  if (auto error = reader.finish()) return unexpected(*error);
  // Without names of its own: one for each number that a pattern uses; the service may rename them.
  if (traits.labels.empty()) traits.labels.push_back("suspicious");
  for (const auto& pattern : patterns) {
    while (traits.labels.size() <= pattern.label) {
      traits.labels.push_back("label_" + std::to_string(traits.labels.size()));
    }
  }
  options.matcher = std::make_shared<const PatternMatcher>(std::move(patterns), matcher_options);
  return std::make_unique<FunctionProgram<Ids>>(std::move(traits), std::move(options));
}

}  // namespace sluice
