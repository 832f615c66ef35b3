#include "core/functions/pattern_matcher.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <tuple>
#include <utility>

#include "core/check.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#define SLUICE_PATTERN_AVX2 1
#endif

namespace sluice {
namespace {

constexpr std::uint32_t kWindow = 4;

std::array<std::uint8_t, 256> fold_table(bool nocase) {
  std::array<std::uint8_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    const bool upper = nocase && i >= 'A' && i <= 'Z';
    table[i] = static_cast<std::uint8_t>(upper ? i + ('a' - 'A') : i);
  }
  return table;
}

// Folded, sorted by bytes then label, without duplicates: what both searches are built from.
std::vector<AhoCorasick::Pattern> normalized(std::vector<AhoCorasick::Pattern> patterns,
                                             const std::array<std::uint8_t, 256>& fold) {
  for (auto& pattern : patterns) {
    SLUICE_CHECK(!pattern.bytes.empty() && pattern.label < PatternMatcher::kLabelMax);
    for (char& c : pattern.bytes) c = static_cast<char>(fold[static_cast<std::uint8_t>(c)]);
  }
  const auto key = [](const AhoCorasick::Pattern& p) { return std::tie(p.bytes, p.label); };
  std::sort(patterns.begin(), patterns.end(),
            [&](const auto& a, const auto& b) { return key(a) < key(b); });
  const auto end = std::unique(patterns.begin(), patterns.end(),
                               [&](const auto& a, const auto& b) { return key(a) == key(b); });
  patterns.erase(end, patterns.end());
  return patterns;
}

std::uint32_t load32(const void* bytes) noexcept {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// How common a byte is in what protocols carry, roughly in steps of a factor of two. It orders
// windows by how seldom they will be met; being wrong costs time, never a match.
std::uint32_t commonness(std::uint8_t byte) {
  switch (byte) {
    case ' ':
    case 'e':
    case 't':
    case 'a':
    case 'o':
    case 'i':
    case 'n':
    case 's':
    case 'r':
    case 0x00:
      return 6;
    case '/':
    case '.':
    case '-':
    case ':':
    case '=':
    case '"':
    case '<':
    case '>':
    case '\r':
    case '\n':
    case ',':
    case ';':
    case 0xff:
      return 5;
    default:
      break;
  }
  if (byte >= 'a' && byte <= 'z') return 5;
  if (byte >= '0' && byte <= '9') return 5;
  if (byte >= 'A' && byte <= 'Z') return 4;
  if (byte >= 0x20 && byte < 0x7f) return 3;
  return 2;
}

}  // namespace

AhoCorasick::AhoCorasick(std::span<const Pattern> patterns) {
  build_trie(patterns);
  build_failures();
}

void AhoCorasick::build_trie(std::span<const Pattern> patterns) {
  // A node is the range of the sorted patterns that begin with its path; breadth first, so that the
  // children of each node come out side by side.
  struct Range {
    std::uint32_t first, last, depth;
  };
  std::vector<Range> ranges{{0, static_cast<std::uint32_t>(patterns.size()), 0}};
  byte_.push_back(0);
  for (std::size_t node = 0; node < ranges.size(); ++node) {
    auto [first, last, depth] = ranges[node];
    first_child_.push_back(static_cast<std::uint32_t>(ranges.size()));
    labels_.push_back(0);
    for (; first < last && patterns[first].bytes.size() == depth; ++first) {
      labels_.back() |= 1u << patterns[first].label;
    }
    while (first < last) {
      const char byte = patterns[first].bytes[depth];
      std::uint32_t end = first;
      while (end < last && patterns[end].bytes[depth] == byte) ++end;
      ranges.push_back({first, end, depth + 1});
      byte_.push_back(static_cast<std::uint8_t>(byte));
      first = end;
    }
  }
  first_child_.push_back(static_cast<std::uint32_t>(ranges.size()));
}

std::uint32_t AhoCorasick::child(std::uint32_t node, std::uint8_t byte) const noexcept {
  const auto begin = byte_.begin() + first_child_[node];
  const auto end = byte_.begin() + first_child_[node + 1];
  const auto found = std::lower_bound(begin, end, byte);
  if (found == end || *found != byte) return 0;
  return static_cast<std::uint32_t>(found - byte_.begin());
}

void AhoCorasick::build_failures() {
  const auto node_count = static_cast<std::uint32_t>(byte_.size());
  failure_.assign(node_count, 0);
  for (std::uint32_t node = 0; node < node_count; ++node) {
    labels_[node] |= labels_[failure_[node]];
    for (std::uint32_t c = first_child_[node]; c < first_child_[node + 1]; ++c) {
      if (node == 0) continue;
      std::uint32_t from = failure_[node];
      while (from != 0 && child(from, byte_[c]) == 0) from = failure_[from];
      failure_[c] = child(from, byte_[c]);
    }
  }
}

std::uint32_t AhoCorasick::scan(std::span<const std::byte> text,
                                const std::array<std::uint8_t, 256>& fold,
                                std::uint32_t wanted) const noexcept {
  std::uint32_t found = 0;
  std::uint32_t node = 0;
  for (const std::byte raw : text) {
    const std::uint8_t byte = fold[std::to_integer<std::uint8_t>(raw)];
    std::uint32_t next = child(node, byte);
    while (next == 0 && node != 0) {
      node = failure_[node];
      next = child(node, byte);
    }
    node = next;
    found |= labels_[node];
    if (found == wanted) break;
  }
  return found;
}

struct PatternMatcher::Search {
  std::span<const std::byte> text;
  std::uint32_t found = 0;
  std::size_t budget = 0;  // Comparisons left before the text counts as made against the filter.
  bool done = false;       // All labels found, or the budget is spent.
};

PatternMatcher::PatternMatcher(std::vector<Pattern> patterns, const Options& options)
    : patterns_(normalized(std::move(patterns), fold_table(options.nocase))),
      fold_(fold_table(options.nocase)),
      filter_or_(options.nocase ? 0x20202020u : 0u),
      linear_(patterns_) {
  for (const Pattern& pattern : patterns_) wanted_ |= 1u << pattern.label;
  build_long();
  build_short();
#ifdef SLUICE_PATTERN_AVX2
  avx2_ = options.use_simd && __builtin_cpu_supports("avx2") != 0;
#endif
}

PatternMatcher::Window PatternMatcher::choose_window(std::uint32_t pattern) const {
  // Far windows gain little and would make the start of a match far from where it is seen.
  constexpr std::size_t kOffsetMax = 60;
  const std::string& bytes = patterns_[pattern].bytes;
  const std::size_t last = std::min(bytes.size() - kWindow, kOffsetMax);
  std::size_t best = 0;
  std::uint32_t best_cost = ~0u;
  for (std::size_t offset = 0; offset <= last; ++offset) {
    std::uint32_t cost = 0;
    for (std::size_t i = 0; i < kWindow; ++i) {
      cost += commonness(static_cast<std::uint8_t>(bytes[offset + i]));
    }
    // A run of one byte is common in padding.
    if (bytes[offset] == bytes[offset + 1] && bytes[offset] == bytes[offset + 3]) cost += 8;
    if (cost < best_cost) {
      best_cost = cost;
      best = offset;
    }
  }
  return {load32(bytes.data() + best) | filter_or_, static_cast<std::uint32_t>(best), pattern};
}

void PatternMatcher::build_long() {
  for (std::uint32_t i = 0; i < patterns_.size(); ++i) {
    if (patterns_[i].bytes.size() >= kWindow) windows_.push_back(choose_window(i));
  }
  if (windows_.empty()) return;
  std::sort(windows_.begin(), windows_.end(), [](const Window& a, const Window& b) {
    return std::tie(a.value, a.pattern) < std::tie(b.value, b.pattern);
  });
  // Up to 16 KB the filter stays in the first-level cache beside the text, and 128 bits a pattern
  // let under 1 % of other windows through; beyond, 32 bits a pattern let 3 %.
  const std::size_t bits = std::clamp<std::size_t>(
      std::max(std::min<std::size_t>(windows_.size() * 128, 1u << 17), windows_.size() * 32),
      1u << 13, 1u << 22);
  const auto log2_bits = static_cast<std::uint32_t>(std::bit_width(bits - 1));
  long_shift_ = 32 - log2_bits;
  long_filter_.assign((std::size_t{1} << log2_bits) / 32, 0);
  slots_.assign(std::bit_ceil(windows_.size() * 2), Slot{});
  for (std::uint32_t first = 0; first < windows_.size();) {
    const std::uint32_t value = windows_[first].value;
    std::uint32_t end = first;
    while (end < windows_.size() && windows_[end].value == value) ++end;
    const std::uint32_t h = hash_of(value);
    long_filter_[h >> 5] |= 1u << (h & 31u);
    std::size_t slot = h & (slots_.size() - 1);
    while (slots_[slot].count != 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = {value, first, end - first};
    first = end;
  }
}

void PatternMatcher::build_short() {
  const auto is_short = [](const Pattern& p) { return p.bytes.size() < kWindow; };
  if (std::none_of(patterns_.begin(), patterns_.end(), is_short)) return;
  short_filter_.assign(65536 / 64, 0);
  short_by_first_.assign(257, 0);
  const auto set = [&](std::uint32_t first, std::uint32_t second) {
    const std::uint32_t pair = first | second << 8;
    short_filter_[pair / 64] |= std::uint64_t{1} << (pair % 64);
  };
  for (std::uint32_t i = 0; i < patterns_.size(); ++i) {  // Sorted, so by first byte.
    const std::string& bytes = patterns_[i].bytes;
    if (!is_short(patterns_[i])) continue;
    const auto first = static_cast<std::uint8_t>(bytes[0]);
    short_patterns_.push_back(i);
    ++short_by_first_[first + 1u];
    if (bytes.size() > 1) set(first, static_cast<std::uint8_t>(bytes[1]));
    for (std::uint32_t second = 0; bytes.size() == 1 && second < 256; ++second) set(first, second);
  }
  for (std::size_t i = 1; i < 257; ++i) short_by_first_[i] += short_by_first_[i - 1];
}

std::uint32_t PatternMatcher::scan_linear(std::span<const std::byte> text) const noexcept {
  return wanted_ == 0 ? 0 : linear_.scan(text, fold_, wanted_);
}

std::uint32_t PatternMatcher::scan(std::span<const std::byte> text) const noexcept {
  if (wanted_ == 0) return 0;
  // Ordinary payloads spend far below one comparison per byte.
  Search search{.text = text, .budget = 64 + 2 * text.size()};
  if (!windows_.empty() && text.size() >= kWindow) {
    if (avx2_) {
      scan_long_avx2(search);
    } else {
      scan_long_portable(search, 0);
    }
  }
  if (!short_filter_.empty() && !search.done) scan_short(search);
  if (search.done && search.found != wanted_) return scan_linear(text);
  return search.found;
}

void PatternMatcher::compare(Search& search, std::uint32_t pattern,
                             std::size_t start) const noexcept {
  const Pattern& candidate = patterns_[pattern];
  const std::string& bytes = candidate.bytes;
  // What was found already need not be found again; it costs nothing then.
  if ((search.found >> candidate.label & 1u) != 0) return;
  if (bytes.size() > search.text.size() - start) return;
  const std::size_t cost = 1 + bytes.size() / 16;
  if (search.budget < cost) {
    search.done = true;
    return;
  }
  search.budget -= cost;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = fold_[std::to_integer<std::uint8_t>(search.text[start + i])];
    if (byte != static_cast<std::uint8_t>(bytes[i])) return;
  }
  search.found |= 1u << candidate.label;
  if (search.found == wanted_) search.done = true;
}

void PatternMatcher::check_long(Search& search, std::size_t position,
                                std::uint32_t window) const noexcept {
  std::size_t slot = hash_of(window) & (slots_.size() - 1);
  while (slots_[slot].count != 0 && slots_[slot].window != window) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  const Slot& found = slots_[slot];
  for (std::uint32_t i = found.first; i < found.first + found.count && !search.done; ++i) {
    // A pattern passed over costs as well: thousands may share one window.
    if (search.budget == 0) {
      search.done = true;
      return;
    }
    --search.budget;
    if (windows_[i].offset <= position) {
      compare(search, windows_[i].pattern, position - windows_[i].offset);
    }
  }
}

void PatternMatcher::scan_long_portable(Search& search, std::size_t from) const noexcept {
  const std::byte* text = search.text.data();
  const std::size_t end = search.text.size() - kWindow + 1;
  for (std::size_t i = from; i < end; ++i) {
    const std::uint32_t window = load32(text + i) | filter_or_;
    const std::uint32_t h = hash_of(window);
    if ((long_filter_[h >> 5] >> (h & 31u) & 1u) == 0) [[likely]]
      continue;
    check_long(search, i, window);
    if (search.done) return;
  }
}

#ifdef SLUICE_PATTERN_AVX2
__attribute__((target("avx2"))) void PatternMatcher::scan_long_avx2(Search& search) const noexcept {
  const std::byte* text = search.text.data();
  const std::size_t size = search.text.size();
  const auto* filter = reinterpret_cast<const int*>(long_filter_.data());
  // Eight windows of four bytes from one load of sixteen.
  const __m256i spread = _mm256_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6,
                                          7, 5, 6, 7, 8, 6, 7, 8, 9, 7, 8, 9, 10);
  const __m256i letters = _mm256_set1_epi32(static_cast<int>(filter_or_));
  const __m256i multiplier = _mm256_set1_epi32(static_cast<int>(0x9e3779b1u));
  const __m256i low_bits = _mm256_set1_epi32(31);
  const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(long_shift_));
  const auto hits = [&](const std::byte* at) __attribute__((target("avx2"), always_inline)) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m256i windows = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), spread);
    windows = _mm256_or_si256(windows, letters);
    const __m256i h = _mm256_srl_epi32(_mm256_mullo_epi32(windows, multiplier), shift);
    const __m256i words = _mm256_i32gather_epi32(filter, _mm256_srli_epi32(h, 5), 4);
    // The asked bit moves to the top, where movemask finds it.
    const __m256i top = _mm256_sllv_epi32(words, _mm256_andnot_si256(h, low_bits));
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(top)));
  };
  std::size_t i = 0;
  for (; i + 32 + 8 <= size; i += 32) {
    std::uint32_t mask = hits(text + i) | hits(text + i + 8) << 8 | hits(text + i + 16) << 16 |
                         hits(text + i + 24) << 24;
    for (; mask != 0; mask &= mask - 1) {
      const std::size_t position = i + static_cast<std::size_t>(std::countr_zero(mask));
      check_long(search, position, load32(text + position) | filter_or_);
      if (search.done) return;
    }
  }
  scan_long_portable(search, i);
}
#else
void PatternMatcher::scan_long_avx2(Search& search) const noexcept {
  scan_long_portable(search, 0);
}
#endif

void PatternMatcher::check_short(Search& search, std::size_t position,
                                 std::uint32_t first) const noexcept {
  for (std::uint32_t i = short_by_first_[first]; i < short_by_first_[first + 1]; ++i) {
    if (search.budget == 0) search.done = true;
    if (search.done) return;
    --search.budget;
    compare(search, short_patterns_[i], position);
  }
}

void PatternMatcher::scan_short(Search& search) const noexcept {
  const std::size_t size = search.text.size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint32_t first = fold_[std::to_integer<std::uint8_t>(search.text[i])];
    // Behind the last byte stands a 0 here; compare() knows the end.
    const std::uint32_t second =
        i + 1 < size ? fold_[std::to_integer<std::uint8_t>(search.text[i + 1])] : 0u;
    const std::uint32_t pair = first | second << 8;
    if ((short_filter_[pair / 64] >> (pair % 64) & 1u) == 0) continue;
    check_short(search, i, first);
    if (search.done) return;
  }
}

}  // namespace sluice
