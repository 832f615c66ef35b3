#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include <nlohmann/json.hpp>

#include "core/deployment/site.hpp"
#include "tests/core/deployment/support.hpp"

namespace sluice {
namespace {

using Json = nlohmann::json;
using Keys = std::set<std::string>;

// Collects the keys that a schema allows, in the form of deployment_keys().
void collect(const Json& root, const Json& node, const std::string& path, Keys& keys) {
  if (!node.is_object()) return;
  if (const auto ref = node.find("$ref"); ref != node.end()) {
    collect(root, root.at(Json::json_pointer(ref->get<std::string>().substr(1))), path, keys);
  }
  const std::string prefix = path.empty() ? "" : path + ".";
  if (const auto properties = node.find("properties"); properties != node.end()) {
    for (const auto& entry : properties->items()) {
      keys.insert(prefix + entry.key());
      collect(root, entry.value(), prefix + entry.key(), keys);
    }
  }
  if (const auto other = node.find("additionalProperties"); other != node.end()) {
    collect(root, *other, prefix + "*", keys);
  }
  if (const auto items = node.find("items"); items != node.end()) {
    collect(root, *items, path + "[]", keys);
  }
  for (const auto& choice : node.value("oneOf", Json::array())) collect(root, choice, path, keys);
}

// The keys of a file, in the same form; names that the user gives are "*".
void collect(const ConfigValue& value, const std::string& path, Keys& keys) {
  const Keys named{"hosts", "hosts.*.ports", "services", "chains"};
  for (const auto& entry : value.entries()) {
    std::string inner = path.empty() ? entry.key : path + "." + entry.key;
    const bool is_step = path.ends_with("steps[]") && entry.key != "copy";
    if (named.contains(path) || is_step) inner = path + ".*";
    keys.insert(inner);
    collect(entry.value, inner, keys);
  }
  for (const ConfigValue& item : value.items()) collect(item, path + "[]", keys);
}

Keys parser_keys() {
  const auto keys = deployment_keys();
  return {keys.begin(), keys.end()};
}

ConfigValue everything() {
  return *parse_yaml(read_all(golden("good/everything.yaml")), "everything.yaml");
}

// Paths of all scalars, as apply_override wants them.
void scalar_paths(const ConfigValue& value, const std::string& path,
                  std::vector<std::string>& paths) {
  const std::string prefix = path.empty() ? "" : path + ".";
  if (value.is_scalar()) paths.push_back(path);
  for (const auto& entry : value.entries()) scalar_paths(entry.value, prefix + entry.key, paths);
  for (std::size_t i = 0; i < value.items().size(); ++i) {
    scalar_paths(value.items()[i], prefix + std::to_string(i), paths);
  }
}

TEST(Schema, HasTheKeysOfTheParserAndNoOthers) {
  const Json schema = Json::parse(deployment_schema());
  Keys keys;
  collect(schema, schema, "", keys);
  EXPECT_EQ(keys, parser_keys());
}

TEST(Schema, OfTheSiteHasTheKeysOfItsParserAndNoOthers) {
  const Json schema = Json::parse(site_schema());
  Keys keys;
  collect(schema, schema, "", keys);
  const auto known = site_keys();
  EXPECT_EQ(keys, Keys(known.begin(), known.end()));
}

TEST(Schema, IsTheFileOfTheTree) {
  const std::string path = "/core/deployment/schema/deployment.schema.json";
  EXPECT_EQ(deployment_schema(), read_all(SLUICE_SOURCE_DIR + path));
  const std::string site_path = "/core/deployment/schema/site.schema.json";
  EXPECT_EQ(site_schema(), read_all(SLUICE_SOURCE_DIR + site_path));
}

TEST(DeploymentKeys, AreAllInTheFileWithEverything) {
  Keys keys;
  collect(everything(), "", keys);
  // Refused so far; and what the file says in one of two places is enough.
  keys.insert("faults[].partition");
  for (const std::string& key : parser_keys()) EXPECT_TRUE(keys.contains(key)) << key;
}

TEST(SiteKeys, AreAllInTheFileWithEverythingAndAreRead) {
  const std::string text = read_all(golden("good_sites/everything.yaml"));
  const auto deployment = parse(read_all(golden("good/everything.yaml")));
  ASSERT_TRUE(deployment);
  const auto site = parse_site(text, "site.yaml", *deployment);
  ASSERT_TRUE(site) << site.error().to_string();
  Keys keys;
  collect(*parse_yaml(text, "site.yaml"), "", keys);
  keys.insert("hosts.*.ports.*.pci");  // One of three; the bad files try it.
  for (const std::string& key : site_keys()) EXPECT_TRUE(keys.contains(key)) << key;
  // Each value in turn becomes a list in a list, which none of them is.
  std::uint32_t count = 0;
  for (const char* value : {"veth0", "'02:00:00:00:00:01'", "10.0.0.1",
                            "\"net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap\"", "'2001:db8::1'",
                            "[0, 1]", "[1]", "0}", "no", "500 us", "127.0.0.1:9200"}) {
    std::string changed = text;
    const std::size_t at = changed.find(std::string(": ") + value);
    ASSERT_NE(at, std::string::npos) << value;
    const std::string brace = std::string_view(value).ends_with('}') ? "}" : "";
    changed.replace(at + 2, std::string_view(value).size(), "[[nonsense]]" + brace);
    EXPECT_FALSE(parse_site(changed, "site.yaml", *deployment)) << value;
    ++count;
  }
  EXPECT_EQ(count, 11u);
}

TEST(DeploymentKeys, AreAllRead) {
  const ConfigValue good = everything();
  std::vector<std::string> paths;
  scalar_paths(good, "", paths);
  ASSERT_GT(paths.size(), 150u);
  const FunctionRegistry functions = built_in_functions();
  for (const std::string& path : paths) {
    ConfigValue tree = good;
    ASSERT_TRUE(apply_override(tree, path, "[[[nonsense]]]")) << path;
    EXPECT_FALSE(check_deployment(tree, functions, reader_in(golden("good")))) << path;
  }
}

}  // namespace
}  // namespace sluice
