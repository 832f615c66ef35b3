#include "core/flow/classifier.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <bitset>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice {
namespace {

TEST(Classifier, WithoutRulesNothingMatches) {
  EXPECT_EQ(Classifier{}.match({}), kNoChain);
  EXPECT_EQ(Classifier{std::vector<Classifier::Rule>{}}.match({}), kNoChain);
}

TEST(Classifier, FirstRuleThatMatchesWins) {
  const Classifier classifier{
      {{{.protocol = std::uint8_t{6}, .destination_port = PortRange{80, 80}}, ChainId{1}},
       {{.protocol = std::uint8_t{6}}, ChainId{2}},
       {{.destination_port = PortRange{80, 80}}, ChainId{3}},
       {{.ip_version = std::uint8_t{6}}, ChainId{4}}}};
  EXPECT_EQ(classifier.match({.destination_port = 80, .protocol = 6, .ip_version = 4}), ChainId{1});
  EXPECT_EQ(classifier.match({.destination_port = 81, .protocol = 6, .ip_version = 4}), ChainId{2});
  EXPECT_EQ(classifier.match({.destination_port = 80, .protocol = 17, .ip_version = 6}),
            ChainId{3});
  EXPECT_EQ(classifier.match({.destination_port = 1, .protocol = 17, .ip_version = 6}), ChainId{4});
  EXPECT_EQ(classifier.match({.destination_port = 1, .protocol = 17, .ip_version = 4}), kNoChain);
}

TEST(Classifier, RuleThatContradictsItselfNeverMatches) {
  const Classifier classifier{{{{.source = IpPrefix::parse("10.0.0.0/8").value(),
                                 .destination = IpPrefix::parse("::/0").value()},
                                ChainId{1}}}};
  for (const std::uint8_t version : {std::uint8_t{0}, std::uint8_t{4}, std::uint8_t{6}}) {
    EXPECT_EQ(classifier.match({.source = {10}, .ip_version = version}), kNoChain);
  }
}

TEST(Classifier, FindsTheLastOfManyRules) {
  std::vector<Classifier::Rule> rules;
  for (std::uint32_t i = 0; i < Classifier::kRuleCountMax; ++i) {
    const auto port = static_cast<std::uint16_t>(i);
    rules.push_back(
        {{.destination_port = PortRange{port, port}}, ChainId{static_cast<std::uint16_t>(i)}});
  }
  const Classifier classifier{rules};
  for (const std::uint32_t number : {0u, 63u, 64u, 4000u, 4095u}) {
    const auto port = static_cast<std::uint16_t>(number);
    EXPECT_EQ(classifier.match({.destination_port = port, .protocol = 17, .ip_version = 6}),
              ChainId{port});
  }
  EXPECT_EQ(classifier.match({.destination_port = 4096, .protocol = 17, .ip_version = 6}),
            kNoChain);
}

// --- Against the rules' text, read in the plainest way -------------------------------------------

/// A rule as a user writes it; "" means no condition.
struct RuleText {
  std::string protocol, source, destination, vlan, ingress, version;
  int source_first = -1, source_last = -1, destination_first = -1, destination_last = -1;
};

std::string bits_of(const std::array<std::uint8_t, 16>& bytes, std::size_t count) {
  std::string bits;
  for (std::size_t i = 0; i < count; ++i) bits += std::bitset<8>{bytes[i]}.to_string();
  return bits;
}

/// Prefixes are written as text "4:0101" here: the version and the bits that an address begins
/// with.
bool prefix_holds(const std::string& prefix, const std::array<std::uint8_t, 16>& bytes,
                  std::uint8_t version) {
  if (prefix.empty()) return true;
  if (prefix[0] - '0' != version) return false;
  return bits_of(bytes, version == 4 ? 4 : 16).starts_with(prefix.substr(2));
}

bool number_holds(const std::string& wanted, std::uint32_t number) {
  return wanted.empty() || wanted == std::to_string(number);
}

bool port_holds(int first, int last, std::uint16_t port, const FlowKey& key) {
  if (first < 0) return true;
  if (key.ip_version == 0) return false;
  if (key.protocol != 6 && key.protocol != 17 && key.protocol != 132) return false;
  return first <= port && port <= last;
}

bool holds(const RuleText& rule, const FlowKey& key) {
  if (!rule.protocol.empty() && key.ip_version == 0) return false;
  return number_holds(rule.protocol, key.protocol) && number_holds(rule.vlan, key.vlan_outer) &&
         number_holds(rule.ingress, key.ingress) && number_holds(rule.version, key.ip_version) &&
         prefix_holds(rule.source, key.source, key.ip_version) &&
         prefix_holds(rule.destination, key.destination, key.ip_version) &&
         port_holds(rule.source_first, rule.source_last, key.source_port, key) &&
         port_holds(rule.destination_first, rule.destination_last, key.destination_port, key);
}

// Few values, so that rules and keys often meet.
std::string maybe(const std::vector<std::string>& values) {
  return *rc::gen::inRange(0, 3) == 0 ? *rc::gen::elementOf(values) : std::string{};
}

std::string any_prefix() {
  if (*rc::gen::inRange(0, 3) != 0) return "";
  std::string prefix = *rc::gen::element<std::string>("4:", "6:");
  const int length_max = prefix[0] == '4' ? 32 : 128;
  const int length = *rc::gen::oneOf(rc::gen::inRange(0, 12), rc::gen::inRange(0, length_max + 1));
  for (int i = 0; i < length; ++i) prefix += i < 6 ? *rc::gen::element('0', '1') : '0';
  return prefix;
}

void any_ports(int& first, int& last) {
  if (*rc::gen::inRange(0, 3) != 0) return;
  first = *rc::gen::oneOf(rc::gen::inRange(0, 8), rc::gen::just(65535));
  last = first == 65535 ? first : *rc::gen::oneOf(rc::gen::inRange(first, 9), rc::gen::just(65535));
}

RuleText any_rule() {
  RuleText rule;
  rule.protocol = maybe({"0", "1", "6", "17", "132", "255"});
  rule.source = any_prefix();
  rule.destination = any_prefix();
  rule.vlan = maybe({"0", "1", "4094"});
  rule.ingress = maybe({"0", "1", "65535"});
  rule.version = maybe({"0", "4", "6"});
  any_ports(rule.source_first, rule.source_last);
  any_ports(rule.destination_first, rule.destination_last);
  return rule;
}

std::optional<IpPrefix> to_prefix(const std::string& text) {
  if (text.empty()) return std::nullopt;
  IpPrefix prefix;
  prefix.address.ip_version = static_cast<std::uint8_t>(text[0] - '0');
  prefix.length = static_cast<std::uint8_t>(text.size() - 2);
  for (std::size_t i = 2; i < text.size(); ++i) {
    if (text[i] == '1')
      prefix.address.bytes[(i - 2) / 8] |= static_cast<std::uint8_t>(0x80 >> (i - 2) % 8);
  }
  return prefix;
}

template <class T>
std::optional<T> to_number(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return static_cast<T>(std::stoul(text));
}

FlowMatch to_match(const RuleText& rule) {
  FlowMatch match;
  match.protocol = to_number<std::uint8_t>(rule.protocol);
  match.source = to_prefix(rule.source);
  match.destination = to_prefix(rule.destination);
  match.vlan = to_number<std::uint16_t>(rule.vlan);
  match.ip_version = to_number<std::uint8_t>(rule.version);
  if (!rule.ingress.empty()) match.ingress = PortId{*to_number<std::uint16_t>(rule.ingress)};
  const auto range = [](int first, int last) {
    return PortRange{static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
  };
  if (rule.source_first >= 0) match.source_port = range(rule.source_first, rule.source_last);
  if (rule.destination_first >= 0) {
    match.destination_port = range(rule.destination_first, rule.destination_last);
  }
  return match;
}

FlowKey any_key() {
  FlowKey key;
  key.ip_version = *rc::gen::element<std::uint8_t>(0, 4, 6);
  key.protocol = *rc::gen::element<std::uint8_t>(0, 1, 6, 17, 132, 255);
  key.vlan_outer = *rc::gen::element<std::uint16_t>(0, 1, 4094, 7);
  key.ingress = *rc::gen::element<std::uint16_t>(0, 1, 65535, 7);
  key.source_port = *rc::gen::element<std::uint16_t>(0, 1, 4, 8, 9, 65534, 65535);
  key.destination_port = *rc::gen::element<std::uint16_t>(0, 1, 4, 8, 9, 65534, 65535);
  if (key.ip_version == 0) return key;
  for (auto* address : {&key.source, &key.destination}) {
    (*address)[0] = *rc::gen::arbitrary<std::uint8_t>() & 0xfc;
    (*address)[3] = *rc::gen::element<std::uint8_t>(0, 0, 1);
    if (key.ip_version == 6) (*address)[15] = *rc::gen::element<std::uint8_t>(0, 0, 1);
  }
  return key;
}

RC_GTEST_PROP(Classifier, SaysWhatTheTextOfTheRulesSays, ()) {
  std::vector<RuleText> texts;
  std::vector<Classifier::Rule> rules;
  const auto count = *rc::gen::element<std::uint16_t>(1, 5, 64, 65, 150);
  for (std::uint16_t i = 0; i < count; ++i) {
    texts.push_back(any_rule());
    rules.push_back({to_match(texts.back()), ChainId{i}});
  }
  const Classifier classifier{rules};
  for (int i = 0; i < 20; ++i) {
    const FlowKey key = any_key();
    ChainId expected = kNoChain;
    for (std::uint16_t rule = 0; rule < count && expected == kNoChain; ++rule) {
      if (holds(texts[rule], key)) expected = ChainId{rule};
    }
    RC_ASSERT(classifier.match(key) == expected);
    for (std::uint16_t rule = 0; rule < count; ++rule) {
      RC_ASSERT(rules[rule].match.matches(key) == holds(texts[rule], key));
    }
  }
}

}  // namespace
}  // namespace sluice
