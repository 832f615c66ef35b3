#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sluice {

/// Aho-Corasick (1975) over a sorted trie: says which labels' patterns occur in a text, in time
/// linear in the text whatever the patterns and the text are.
///
/// Compact, not fast: 17 bytes per trie node and a binary search per step, where a full table takes
/// 1 KB per node. PatternMatcher uses it when its filter meets a text made against it.
class AhoCorasick {
 public:
  struct Pattern {
    std::string bytes;        ///< Not empty.
    std::uint32_t label = 0;  ///< Below 32.
  };
  /// `patterns` sorted by their bytes; equal ones may follow each other.
  explicit AhoCorasick(std::span<const Pattern> patterns);

  /// @param fold maps each byte of `text` before it is compared.
  /// @return Bit i: a pattern of label i occurs in `text`. Stops when all of `wanted` were found.
  [[nodiscard]] std::uint32_t scan(std::span<const std::byte> text,
                                   const std::array<std::uint8_t, 256>& fold,
                                   std::uint32_t wanted) const noexcept;

 private:
  [[nodiscard]] std::uint32_t child(std::uint32_t node, std::uint8_t byte) const noexcept;
  void build_trie(std::span<const Pattern> patterns);
  void build_failures();

  // Per node, in order of depth; the children of one stand side by side, in order of their byte.
  std::vector<std::uint32_t> first_child_;  // One more than nodes: the end of the last's children.
  std::vector<std::uint8_t> byte_;
  std::vector<std::uint32_t> failure_;
  std::vector<std::uint32_t> labels_;  // Of all patterns that end here.
};

/// Says which labels' patterns occur in a text: multi-pattern search for payloads.
///
/// A bitmap answers for each position whether the four bytes there (two for patterns shorter than
/// four) may be the chosen window of a pattern; the few that may are compared with the patterns of
/// that window. The chosen window is the one of bytes rarest in protocols. With AVX2 eight
/// positions are asked at once. Texts made to defeat this cost a bounded number of comparisons per
/// byte and then go through AhoCorasick, so the time is linear in the text. Immutable once made:
/// share it freely.
class PatternMatcher {
 public:
  using Pattern = AhoCorasick::Pattern;
  struct Options {
    bool nocase = false;   ///< Letters A-Z and a-z are the same.
    bool use_simd = true;  ///< False: the portable scan, for tests and comparison.
  };
  static constexpr std::uint32_t kLabelMax = 32;

  PatternMatcher(std::vector<Pattern> patterns, const Options& options);

  /// @return Bit i: a pattern of label i occurs in `text`. Stops when no other label can be found.
  [[nodiscard]] std::uint32_t scan(std::span<const std::byte> text) const noexcept;
  /// The same by AhoCorasick alone.
  [[nodiscard]] std::uint32_t scan_linear(std::span<const std::byte> text) const noexcept;

  [[nodiscard]] std::size_t pattern_count() const noexcept { return patterns_.size(); }

 private:
  struct Search;  // One scan's progress.
  // The patterns of one window: patterns_[order_[first..first + count)].
  struct Slot {
    std::uint32_t window = 0;
    std::uint32_t first = 0;
    std::uint32_t count = 0;  // 0: empty.
  };
  struct Window {
    std::uint32_t value = 0;
    std::uint32_t offset = 0;
    std::uint32_t pattern = 0;
  };

  void build_long();
  void build_short();
  [[nodiscard]] Window choose_window(std::uint32_t pattern) const;
  [[nodiscard]] std::uint32_t hash_of(std::uint32_t window) const noexcept {
    return (window * 0x9e3779b1u) >> long_shift_;
  }
  void scan_long_portable(Search& search, std::size_t from) const noexcept;
  void scan_long_avx2(Search& search) const noexcept;
  void scan_short(Search& search) const noexcept;
  void check_long(Search& search, std::size_t position, std::uint32_t window) const noexcept;
  void check_short(Search& search, std::size_t position, std::uint32_t first) const noexcept;
  void compare(Search& search, std::uint32_t pattern, std::size_t start) const noexcept;

  std::vector<Pattern> patterns_;  // Folded, sorted, without duplicates.
  std::array<std::uint8_t, 256> fold_{};
  std::uint32_t wanted_ = 0;     // All labels that some pattern has.
  std::uint32_t filter_or_ = 0;  // Makes letters equal in a window: 0x20 in each byte.
  bool avx2_ = false;

  // Patterns of at least kWindow bytes.
  std::uint32_t long_shift_ = 0;  // 32 - log2 of the bits in long_filter_.
  std::vector<std::uint32_t> long_filter_;
  std::vector<Slot> slots_;      // Open addressing by hash_of_slot.
  std::vector<Window> windows_;  // By value, so that each slot's stand side by side.

  // Shorter ones, by their first two bytes; of a single byte, by all pairs that it begins.
  std::vector<std::uint64_t> short_filter_;    // 65536 bits; empty: no such pattern.
  std::vector<std::uint32_t> short_by_first_;  // 257 starts into short_patterns_.
  std::vector<std::uint32_t> short_patterns_;

  AhoCorasick linear_;
};

}  // namespace sluice
