#include "core/cluster/datastore.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sluice {
namespace {

using namespace std::string_literals;

TEST(Datastore, APathIsNamesWithASlashBeforeEach) {
  for (const std::string& path : {"/"s, "/a"s, "/a/b"s, "/a.b/c-1_2"s, "/..."s, "/a b"s, "/ä€"s}) {
    EXPECT_TRUE(is_node_path(path)) << path;
  }
  for (const std::string& path : {""s, "a"s, "//"s, "/a/"s, "/a//b"s, "/."s, "/a/.."s, "/a/./b"s,
                                  "/a\0b"s, "/a\n"s, "/\x7f"s}) {
    EXPECT_FALSE(is_node_path(path)) << path;
  }
}

TEST(Datastore, APathIsOfTheCharactersThatZooKeeperTakes) {
  EXPECT_TRUE(is_node_path("/\xc2\xa0"));      // U+00A0
  EXPECT_TRUE(is_node_path("/\xed\x9f\xbf"));  // U+D7FF
  EXPECT_TRUE(is_node_path("/\xef\xa4\x80"));  // U+F900
  EXPECT_TRUE(is_node_path("/\xef\xbf\xaf"));  // U+FFEF
  for (const char* path :
       {"/\x80", "/\xc2", "/\xc2\x9f", "/\xc1\xbf", "/\xe0\x9f\xbf", "/\xe2\x82", "/\xed\xa0\x80",
        "/\xee\x80\x80", "/\xef\xa3\xbf", "/\xef\xbf\xb0", "/\xf0\x9f\x98\x80", "/\xff"}) {
    EXPECT_FALSE(is_node_path(path)) << path;
  }
}

TEST(Datastore, APathHasAParentAndAName) {
  EXPECT_EQ(parent_of("/a"), "/");
  EXPECT_EQ(parent_of("/a/b/c"), "/a/b");
  EXPECT_EQ(name_of("/a"), "a");
  EXPECT_EQ(name_of("/a/b/c"), "c");
}

TEST(Datastore, WhatIsOverALimitIsTooLarge) {
  const DatastoreLimits limits{.node_bytes_max = 3, .path_bytes_max = 5};
  EXPECT_EQ(problem_of(CreateNode{"/abcd", "abc"}, limits), std::nullopt);
  EXPECT_EQ(problem_of(CreateNode{"/abcde", "abc"}, limits), DatastoreError::kTooLarge);
  EXPECT_EQ(problem_of(CreateNode{"/abcd", "abcd"}, limits), DatastoreError::kTooLarge);
  EXPECT_EQ(problem_of(SetNode{"/abcd", "abcd"}, limits), DatastoreError::kTooLarge);
  EXPECT_EQ(problem_of(CheckNode{"/abcde"}, limits), DatastoreError::kTooLarge);
}

TEST(Datastore, TheRootIsNeitherCreatedNorRemoved) {
  EXPECT_EQ(problem_of(CreateNode{"/"}, {}), DatastoreError::kBadPath);
  EXPECT_EQ(problem_of(RemoveNode{"/"}, {}), DatastoreError::kBadPath);
  EXPECT_EQ(problem_of(CheckNode{"/"}, {}), std::nullopt);
  EXPECT_EQ(problem_of(SetNode{"a"}, {}), DatastoreError::kBadPath);
}

TEST(Datastore, EveryErrorAndStateHasWordsOfItsOwn) {
  std::set<std::string> words;
  for (int i = 0; i <= static_cast<int>(DatastoreError::kBadPath); ++i) {
    EXPECT_TRUE(words.insert(to_string(static_cast<DatastoreError>(i))).second);
  }
  for (int i = 0; i <= static_cast<int>(SessionState::kAuthenticationFailed); ++i) {
    EXPECT_TRUE(words.insert(to_string(static_cast<SessionState>(i))).second);
  }
  for (int i = 0; i <= static_cast<int>(WatchEvent::Kind::kLost); ++i) {
    EXPECT_TRUE(words.insert(to_string(static_cast<WatchEvent::Kind>(i))).second);
  }
}

}  // namespace
}  // namespace sluice
