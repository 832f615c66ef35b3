#include "backends/process/container.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace sluice::container {
namespace {

using nlohmann::json;
using testing::Contains;

json config() {
  return json::parse(config_json({.program = "/opt/nf/bin/my-nf",
                                  .root = "../../root",
                                  .outside_uid = 65534,
                                  .outside_gid = 65533,
                                  .libraries = {"/usr", "/lib"}}));
}

TEST(ContainerConfig, RunsTheProgramOfItsFolder) {
  const json process = config()["process"];
  EXPECT_EQ(process["args"], json::array({"/program/my-nf"}));
  EXPECT_EQ(process["terminal"], false);
}

TEST(ContainerConfig, GivesNoRights) {
  const json made = config();
  EXPECT_EQ(made["process"]["noNewPrivileges"], true);
  EXPECT_EQ(made["process"]["capabilities"], json::object());
  EXPECT_EQ(made["root"], (json{{"path", "../../root"}, {"readonly", true}}));
  std::vector<std::string> types;
  for (const json& each : made["linux"]["namespaces"]) {
    types.push_back(each["type"]);
    EXPECT_FALSE(each.contains("path")) << types.back();  // A new one, not another's.
  }
  for (const char* type : {"user", "network", "mount", "pid", "ipc", "uts"}) {
    EXPECT_THAT(types, Contains(type));
  }
}

TEST(ContainerConfig, ItsOneUserIsThatOneOutside) {
  const json made = config()["linux"];
  EXPECT_EQ(made["uidMappings"],
            json::array({{{"containerID", 0}, {"hostID", 65534}, {"size", 1}}}));
  EXPECT_EQ(made["gidMappings"],
            json::array({{{"containerID", 0}, {"hostID", 65533}, {"size", 1}}}));
}

TEST(ContainerConfig, WhatItSeesOfTheMachineIsReadOnly) {
  std::vector<std::string> bound;
  const json made = config();
  for (const json& mount : made["mounts"]) {
    if (mount["type"] != "bind") {
      EXPECT_EQ(mount["type"], "tmpfs");
      EXPECT_EQ(mount["destination"], "/dev");
      continue;
    }
    bound.push_back(mount["source"].get<std::string>() + " " +
                    mount["destination"].get<std::string>());
    EXPECT_THAT(mount["options"], Contains(json("ro")));
    EXPECT_THAT(mount["options"], Contains(json("nosuid")));
  }
  EXPECT_THAT(bound, testing::ElementsAre("/usr /usr", "/lib /lib", "/opt/nf/bin /program"));
}

TEST(Container, ProcessWithoutChildrenHasNoFirstOne) {
  EXPECT_FALSE(first_process(0));
  EXPECT_FALSE(first_process(::getpid()));
}

}  // namespace
}  // namespace sluice::container
