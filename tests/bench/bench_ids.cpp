#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/functions/pattern_matcher.hpp"
#include "core/prng.hpp"
#include "tests/bench/bench_groups.hpp"

namespace sluice::bench {
namespace {

using Pattern = PatternMatcher::Pattern;

constexpr double kAimBytesPerNs = 1.0;

// The peer: Aho-Corasick as a full table, 256 next states for each state, one look-up a byte.
class TableMatcher {
 public:
  explicit TableMatcher(const std::vector<Pattern>& patterns) {
    add_state();
    for (const Pattern& pattern : patterns) {
      std::uint32_t state = 0;
      for (const char c : pattern.bytes) {
        const std::size_t edge = state * 256u + static_cast<std::uint8_t>(c);
        if (next_[edge] == 0) {
          const std::uint32_t added = add_state();
          next_[edge] = added;
        }
        state = next_[edge];
      }
      match_[state] = 1;
    }
    std::vector<std::uint32_t> failure(match_.size(), 0);
    std::vector<std::uint32_t> queue{0};
    for (std::size_t i = 0; i < queue.size(); ++i) {
      const std::uint32_t state = queue[i];
      match_[state] = match_[state] | match_[failure[state]];
      for (std::size_t byte = 0; byte < 256; ++byte) {
        std::uint32_t& child = next_[state * 256u + byte];
        const std::uint32_t fallback = state == 0 ? 0 : next_[failure[state] * 256u + byte];
        if (child == 0) {
          child = fallback;
        } else {
          failure[child] = fallback;
          queue.push_back(child);
        }
      }
    }
  }

  [[nodiscard]] std::uint32_t scan(std::span<const std::byte> text) const {
    std::uint32_t state = 0;
    for (const std::byte byte : text) {
      state = next_[state * 256u + std::to_integer<std::uint8_t>(byte)];
      if (match_[state] != 0) return 1;
    }
    return 0;
  }

 private:
  std::uint32_t add_state() {
    next_.resize(next_.size() + 256, 0);
    match_.push_back(0);
    return static_cast<std::uint32_t>(match_.size() - 1);
  }
  std::vector<std::uint32_t> next_;
  std::vector<std::uint8_t> match_;
};

// 1,000 patterns of 4 to 32 bytes: pieces of attacks joined, so that many share their beginnings.
std::vector<Pattern> make_patterns(Prng& prng) {
  constexpr std::array<const char*, 24> kPieces{
      "' OR 1=",     "UNION SELECT ", "../../",      "etc/passwd", "<script>",  "document.cookie",
      "cmd.exe?",    "/bin/sh -c",    "eval(base64", "onerror=",   "wp-login.", "xp_cmdshell",
      "${jndi:",     "%2e%2e%2f",     "<?php ",      "sqlmap/",    "nikto/",    "\x90\x90\x90\x90",
      "DROP TABLE ", "admin.cgi",     "shell_exec",  "/.git/",     "passthru(", "SLEEP("};
  std::vector<Pattern> patterns;
  while (patterns.size() < 1000) {
    std::string text;
    const std::size_t length = 4 + prng.below(29);
    while (text.size() < length) {
      text += kPieces[prng.below(kPieces.size())];
      text += std::to_string(prng.below(100));
    }
    text.resize(length);
    patterns.push_back({std::move(text), 0});
  }
  return patterns;
}

// Requests and answers of the web: header lines, text and markup, some encoded bytes. None has a
// match, for a match ends a scan and would count bytes that nobody looked at.
std::vector<std::string> make_payloads(Prng& prng, std::size_t count, const TableMatcher& table) {
  constexpr std::array<const char*, 14> kLines{
      "GET /products/index.html?page=2 HTTP/1.1\r\n",
      "Host: www.example.com\r\n",
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n",
      "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n",
      "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n",
      "Cookie: session=",
      "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n",
      "<div class=\"content\"><a href=\"/page/",
      "<p>The history of the town begins with a bridge over the river. ",
      "</li><li class=\"item\"><span>",
      "<img src=\"/static/images/logo.png\" alt=\"logo\" width=\"120\">",
      "function update(value) { return value + 1; }\n",
      "Set-Cookie: id=",
      "margin: 0 auto; padding: 4px; color: #333;\n"};
  std::vector<std::string> payloads;
  while (payloads.size() < count) {
    std::string text;
    const std::size_t length = 200 + prng.below(1261);
    while (text.size() < length) {
      text += kLines[prng.below(kLines.size())];
      for (std::uint64_t i = prng.below(16); i > 0; --i) {
        text += static_cast<char>('0' + prng.below(75));
      }
    }
    text.resize(length);
    if (table.scan(std::as_bytes(std::span(text))) == 0) payloads.push_back(std::move(text));
  }
  return payloads;
}

// Nanoseconds a byte over all payloads, each handed to `scan`.
template <class Scan>
double ns_per_byte(Bench& bench, const std::vector<std::string>& payloads, Scan scan) {
  std::uint64_t byte_count = 0;
  std::uint64_t match_count = 0;
  const double ns = time_ns([&] {
    for (const std::string& payload : payloads) {
      match_count += scan(std::as_bytes(std::span(payload)));
      byte_count += payload.size();
    }
  });
  bench.keep(match_count);
  return ns / static_cast<double>(byte_count);
}

}  // namespace

/// Bytes per second of the ids search on one core: 1,000 patterns over web payloads, beside a plain
/// Aho-Corasick table; then the portable scan, without regard to case, and on payloads made against
/// the filter, which fall back to linear search.
void bench_ids(Bench& bench) {
  bench.progress("ids.scan");
  Prng prng(1);
  const auto patterns = make_patterns(prng);
  const TableMatcher table(patterns);
  const auto payloads = make_payloads(prng, bench.pick<std::size_t>(20, 4000, 20'000), table);
  const PatternMatcher matcher(patterns, {});
  const auto scan = [](const PatternMatcher& with) {
    return [&with](std::span<const std::byte> text) { return with.scan(text); };
  };
  const Pair ns = bench.take_turns(
      [&] { return ns_per_byte(bench, payloads, scan(matcher)); },
      [&] {
        return ns_per_byte(bench, payloads,
                           [&](std::span<const std::byte> text) { return table.scan(text); });
      });
  bench.add({.id = "ids.scan",
             .value = 1 / ns.value,
             .unit = "GB/s",
             .peer = "Aho-Corasick table",
             .peer_value = 1 / ns.peer,
             .ratio = ns.peer / ns.value,
             .aim = kAimBytesPerNs * ns.peer});  // The ratio at which the value is 1 GB/s.

  bench.progress("ids.scan_portable");
  const PatternMatcher portable(patterns, {.nocase = false, .use_simd = false});
  bench.add_plain("ids.scan_portable",
                  1 / bench.repeat([&] { return ns_per_byte(bench, payloads, scan(portable)); }),
                  "GB/s");
  bench.progress("ids.scan_nocase");
  const PatternMatcher nocase(patterns, {.nocase = true, .use_simd = true});
  bench.add_plain("ids.scan_nocase",
                  1 / bench.repeat([&] { return ns_per_byte(bench, payloads, scan(nocase)); }),
                  "GB/s");
  bench.progress("ids.scan_hostile");
  // Every pattern has the one rare window, and the text is made of it.
  std::vector<Pattern> alike;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    std::string text = "~QXZ";
    for (std::uint32_t rest = i, digit = 0; digit < 10; ++digit, rest /= 2) {
      text += rest % 2 == 0 ? 'e' : 't';
    }
    alike.push_back({std::move(text), 0});
  }
  const PatternMatcher against(alike, {});
  std::string window_text;
  while (window_text.size() < 1400) window_text += "~QXZ";
  const std::vector<std::string> hostile(payloads.size() / 20, window_text);
  bench.add_plain("ids.scan_hostile",
                  1 / bench.repeat([&] { return ns_per_byte(bench, hostile, scan(against)); }),
                  "GB/s");
}

}  // namespace sluice::bench
