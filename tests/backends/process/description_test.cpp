#include "backends/process/description.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sluice {
namespace {

using testing::HasSubstr;

Place place(std::uint32_t line, std::uint32_t column) {
  return {"site/a.yaml", line, column};
}

InstanceDescription example() {
  InstanceDescription description;
  description.service = "ids";
  description.function = "external";
  description.number = 7;
  description.seed = 0xfedc'ba98'7654'3210u;  // No double holds it.
  description.label_bits = {0, 31};
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte.push_back(static_cast<char>(i));
  description.files = {{"data/all bytes", every_byte}, {"empty", ""}};
  description.settings = ConfigValue::map(
      {{"patterns", place(4, 3), ConfigValue::scalar("data/all bytes", place(4, 13))},
       {"list", place(5, 3),
        ConfigValue::list({ConfigValue::scalar("0x10", place(5, 10)),
                           ConfigValue::null(place(5, 16)), ConfigValue::list({}, place(5, 20))},
                          place(5, 9))},
       // Out of the order of the alphabet, which must not become the order of the map.
       {"a", place(6, 3), ConfigValue::map({}, place(6, 6))}},
      place(3, 1));
  return description;
}

void expect_same(const ConfigValue& got, const ConfigValue& expected) {
  EXPECT_EQ(got.kind(), expected.kind());
  EXPECT_EQ(got.text(), expected.text());
  EXPECT_EQ(got.place().file, expected.place().file);
  EXPECT_EQ(got.place().line, expected.place().line);
  EXPECT_EQ(got.place().column, expected.place().column);
  ASSERT_EQ(got.items().size(), expected.items().size());
  for (std::size_t i = 0; i < got.items().size(); ++i) {
    expect_same(got.items()[i], expected.items()[i]);
  }
  ASSERT_EQ(got.entries().size(), expected.entries().size());
  for (std::size_t i = 0; i < got.entries().size(); ++i) {
    const ConfigValue::Entry& entry = got.entries()[i];
    EXPECT_EQ(entry.key, expected.entries()[i].key);
    EXPECT_EQ(entry.place.line, expected.entries()[i].place.line);
    EXPECT_EQ(entry.place.column, expected.entries()[i].place.column);
    expect_same(entry.value, expected.entries()[i].value);
  }
}

Result<InstanceDescription, std::string> decode_bytes(const std::vector<std::uint8_t>& bytes) {
  return decode(std::as_bytes(std::span{bytes}));
}

TEST(Description, ComesBackAsItWentOut) {
  const InstanceDescription sent = example();
  const auto got = decode_bytes(encode(sent));
  ASSERT_TRUE(got) << got.error();
  EXPECT_EQ(got->service, sent.service);
  EXPECT_EQ(got->function, sent.function);
  EXPECT_EQ(got->number, sent.number);
  EXPECT_EQ(got->seed, sent.seed);
  EXPECT_EQ(got->label_bits, sent.label_bits);
  EXPECT_EQ(got->files, sent.files);
  expect_same(got->settings, sent.settings);
}

TEST(Description, EmptyOneComesBack) {
  const auto got = decode_bytes(encode(InstanceDescription{}));
  ASSERT_TRUE(got) << got.error();
  EXPECT_TRUE(got->settings.is_null());
  EXPECT_TRUE(got->files.empty());
  EXPECT_TRUE(got->label_bits.empty());
}

TEST(Description, EveryCutIsRefusedInWords) {
  const std::vector<std::uint8_t> bytes = encode(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const auto got =
        decode_bytes({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    ASSERT_FALSE(got) << size;
    ASSERT_THAT(got.error(), HasSubstr("unreadable description of the service: "));
  }
}

TEST(Description, GarbageIsRefused) {
  EXPECT_FALSE(decode_bytes(std::vector<std::uint8_t>(64, 0xff)));
  EXPECT_FALSE(decode_bytes(std::vector<std::uint8_t>(64, 0x00)));
  const std::string text = "GET / HTTP/1.1";
  EXPECT_FALSE(decode_bytes({text.begin(), text.end()}));
}

TEST(Description, ForeignStructureIsRefused) {
  using Json = nlohmann::json;
  const Json right = Json::from_cbor(encode(example()));
  EXPECT_TRUE(decode_bytes(Json::to_cbor(right)));
  for (const auto& [key, value] : right.items()) {
    Json without = right;
    without.erase(key);
    EXPECT_FALSE(decode_bytes(Json::to_cbor(without))) << key;
    Json other = right;
    other[key] = Json::array({Json::object()});
    EXPECT_FALSE(decode_bytes(Json::to_cbor(other))) << key;
  }
  EXPECT_FALSE(decode_bytes(Json::to_cbor(Json::array({1, 2}))));
}

}  // namespace
}  // namespace sluice
