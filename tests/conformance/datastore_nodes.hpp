#pragma once

#include <algorithm>

#include "tests/conformance/datastore_suite.hpp"

// Nodes: what requests do and answer.
namespace sluice::conformance {

template <class World>
class DatastoreNodes : public DatastoreSuite<World> {};
TYPED_TEST_SUITE_P(DatastoreNodes);

TYPED_TEST_P(DatastoreNodes, ACreatedNodeIsReadBackByAnotherClient) {
  auto& one = this->client();
  auto& other = this->client();
  const std::string data{"any\0bytes\xff", 10};
  EXPECT_EQ(this->create(one, {this->root_, data}), this->root_);
  ASSERT_TRUE(this->sync(other));
  const auto content = this->get(other, this->root_);
  ASSERT_TRUE(content);
  EXPECT_EQ(content->data, data);
  EXPECT_EQ(content->stat.version, 0);
  EXPECT_EQ(content->stat.owner, 0u);
  EXPECT_EQ(content->stat.child_count, 0u);
  EXPECT_GT(content->stat.created_at, 0u);
  EXPECT_EQ(content->stat.modified_at, content->stat.created_at);
}

TYPED_TEST_P(DatastoreNodes, ANodeMayBeEmptyAndGrowToItsLimit) {
  auto& one = this->client();
  const std::size_t limit = DatastoreLimits{}.node_bytes_max;
  ASSERT_TRUE(this->create(one, {this->root_}));
  EXPECT_EQ(this->get(one, this->root_).value().data, "");
  EXPECT_TRUE(this->set(one, {this->root_, std::string(limit, 'x')}));
  EXPECT_EQ(this->get(one, this->root_).value().data.size(), limit);
  EXPECT_EQ(this->error_of(this->set(one, {this->root_, std::string(limit + 1, 'x')})),
            DatastoreError::kTooLarge);
  EXPECT_EQ(this->get(one, this->root_).value().stat.version, 1);
}

TYPED_TEST_P(DatastoreNodes, SetNeedsTheExpectedVersion) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_, "0"}));
  const auto first = this->set(one, {this->root_, "1", 0});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->version, 1);
  EXPECT_GT(first->modified_at, first->created_at);
  EXPECT_EQ(this->error_of(this->set(one, {this->root_, "2", 0})), DatastoreError::kBadVersion);
  EXPECT_EQ(this->get(one, this->root_).value().data, "1");
  EXPECT_EQ(this->set(one, {this->root_, "2", kAnyVersion}).value().version, 2);
  EXPECT_EQ(this->error_of(this->set(one, {this->root_ + "x", "2"})), DatastoreError::kNoNode);
}

TYPED_TEST_P(DatastoreNodes, CreateNeedsAParentThatHasNoSuchChildAndIsNotEphemeral) {
  auto& one = this->client();
  EXPECT_EQ(this->error_of(this->create(one, {this->root_ + "/a"})), DatastoreError::kNoNode);
  ASSERT_TRUE(this->create(one, {this->root_}));
  EXPECT_EQ(this->error_of(this->create(one, {this->root_})), DatastoreError::kNodeExists);
  ASSERT_TRUE(this->create(one, {this->root_ + "/e", "", CreateMode::kEphemeral}));
  EXPECT_EQ(this->error_of(this->create(one, {this->root_ + "/e/a"})),
            DatastoreError::kNoChildrenForEphemerals);
}

TYPED_TEST_P(DatastoreNodes, RemoveNeedsTheExpectedVersionAndNoChildren) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->create(one, {this->root_ + "/a"}));
  ASSERT_TRUE(this->set(one, {this->root_ + "/a", "1"}));
  EXPECT_EQ(this->error_of(this->remove(one, {this->root_})), DatastoreError::kNotEmpty);
  EXPECT_EQ(this->error_of(this->remove(one, {this->root_ + "/a", 0})),
            DatastoreError::kBadVersion);
  EXPECT_TRUE(this->remove(one, {this->root_ + "/a", 1}));
  EXPECT_EQ(this->error_of(this->remove(one, {this->root_ + "/a"})), DatastoreError::kNoNode);
  EXPECT_EQ(this->error_of(this->get(one, this->root_ + "/a")), DatastoreError::kNoNode);
  EXPECT_TRUE(this->remove(one, {this->root_}));
}

TYPED_TEST_P(DatastoreNodes, ANodeThatIsMadeAnewStartsAtVersionZero) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->set(one, {this->root_, "1"}));
  const NodeStat before = this->get(one, this->root_).value().stat;
  ASSERT_TRUE(this->remove(one, {this->root_}));
  ASSERT_TRUE(this->create(one, {this->root_}));
  const NodeStat after = this->get(one, this->root_).value().stat;
  EXPECT_EQ(after.version, 0);
  EXPECT_GT(after.created_at, before.modified_at);
}

TYPED_TEST_P(DatastoreNodes, ExistsTellsWhetherANodeIsThere) {
  auto& one = this->client();
  const auto absent = this->exists(one, this->root_);
  ASSERT_TRUE(absent);
  EXPECT_FALSE(*absent);
  ASSERT_TRUE(this->create(one, {this->root_, "abc"}));
  const auto present = this->exists(one, this->root_);
  ASSERT_TRUE(present && *present);
  EXPECT_EQ(**present, this->get(one, this->root_).value().stat);
}

TYPED_TEST_P(DatastoreNodes, ChildrenAreNamedInOrder) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  for (const char* name : {"c", "a", "b", "a-1"}) {
    ASSERT_TRUE(this->create(one, {this->root_ + "/" + name}));
  }
  ASSERT_TRUE(this->create(one, {this->root_ + "/b/grandchild"}));
  const auto all = this->children(one, this->root_);
  ASSERT_TRUE(all);
  EXPECT_EQ(all->names, (std::vector<std::string>{"a", "a-1", "b", "c"}));
  EXPECT_EQ(all->stat.child_count, 4u);
  EXPECT_GT(all->stat.children_changed_at, all->stat.created_at);
  EXPECT_EQ(all->stat.version, 0);
  EXPECT_TRUE(this->children(one, this->root_ + "/a").value().names.empty());
  EXPECT_EQ(this->error_of(this->children(one, this->root_ + "/x")), DatastoreError::kNoNode);
}

TYPED_TEST_P(DatastoreNodes, ABadPathIsRefused) {
  auto& one = this->client();
  EXPECT_EQ(this->error_of(this->create(one, {"a"})), DatastoreError::kBadPath);
  EXPECT_EQ(this->error_of(this->set(one, {"/a/"})), DatastoreError::kBadPath);
  EXPECT_EQ(this->error_of(this->remove(one, {"/"})), DatastoreError::kBadPath);
  EXPECT_EQ(this->error_of(this->get(one, "")), DatastoreError::kBadPath);
  EXPECT_EQ(this->error_of(this->exists(one, "/a//b")), DatastoreError::kBadPath);
  EXPECT_EQ(this->error_of(this->children(one, "/..")), DatastoreError::kBadPath);
}

TYPED_TEST_P(DatastoreNodes, SequentialNodesCountWhatTheirParentWasGiven) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  const auto next = [&](CreateMode mode) {
    return this->create(one, {this->root_ + "/q-", "", mode}).value_or("");
  };
  EXPECT_EQ(next(CreateMode::kPersistentSequential), this->root_ + "/q-0000000000");
  EXPECT_EQ(next(CreateMode::kEphemeralSequential), this->root_ + "/q-0000000001");
  ASSERT_TRUE(this->create(one, {this->root_ + "/plain"}));
  EXPECT_EQ(next(CreateMode::kPersistentSequential), this->root_ + "/q-0000000003");
  EXPECT_EQ(this->exists(one, this->root_ + "/q-0000000001").value().value().owner, one->session());
}

TYPED_TEST_P(DatastoreNodes, ASequenceNumberNeverComesTwice) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  std::string last;
  for (int i = 0; i < 5; ++i) {
    const auto path =
        this->create(one, {this->root_ + "/q-", "", CreateMode::kPersistentSequential});
    ASSERT_TRUE(path);
    EXPECT_GT(*path, last);
    ASSERT_TRUE(this->remove(one, {*path}));
    last = *path;
  }
}

TYPED_TEST_P(DatastoreNodes, AMultiDoesAll) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->create(one, {this->root_ + "/old"}));
  const auto results =
      this->multi(one, {CheckNode{this->root_ + "/old", 0}, CreateNode{this->root_ + "/new", "a"},
                        SetNode{this->root_ + "/new", "b", 0},
                        CreateNode{this->root_ + "/new/q-", "", CreateMode::kPersistentSequential},
                        RemoveNode{this->root_ + "/old"}});
  ASSERT_TRUE(results);
  ASSERT_EQ(results->size(), 5u);
  EXPECT_EQ((*results)[1].path, this->root_ + "/new");
  EXPECT_EQ((*results)[2].stat.version, 1);
  EXPECT_EQ((*results)[3].path, this->root_ + "/new/q-0000000000");
  EXPECT_FALSE(this->is_there(one, this->root_ + "/old"));
  const auto content = this->get(one, this->root_ + "/new");
  ASSERT_TRUE(content);
  EXPECT_EQ(content->data, "b");
  EXPECT_EQ(content->stat.created_at, content->stat.modified_at) << "not one change";
}

TYPED_TEST_P(DatastoreNodes, AMultiDoesNothingWhenOneCannotBeDone) {
  auto& one = this->client();
  const std::string a = this->root_ + "/a";
  ASSERT_TRUE(this->create(one, {this->root_}));
  ASSERT_TRUE(this->create(one, {a, "before"}));
  const NodeStat root_before = this->get(one, this->root_).value().stat;
  const auto failed = [&](std::vector<NodeOperation> operations) {
    const auto result = this->multi(one, std::move(operations));
    EXPECT_FALSE(result);
    const auto error = result ? MultiError{} : result.error();
    return std::pair{error.error, error.index};
  };
  using Failed = std::pair<DatastoreError, std::optional<std::size_t>>;
  const std::string b = this->root_ + "/b";
  EXPECT_EQ(failed({CreateNode{b}, SetNode{a, "x"}, CheckNode{a, 0}}),
            Failed(DatastoreError::kBadVersion, 2));
  EXPECT_EQ(failed({CheckNode{b}, CreateNode{b}}), Failed(DatastoreError::kNoNode, 0));
  EXPECT_EQ(failed({RemoveNode{a}, CreateNode{a}, CreateNode{a}, CreateNode{b}}),
            Failed(DatastoreError::kNodeExists, 2));
  EXPECT_EQ(failed({CreateNode{a + "/q-", "", CreateMode::kPersistentSequential}, RemoveNode{a}}),
            Failed(DatastoreError::kNotEmpty, 1));
  EXPECT_EQ(failed({CreateNode{b}, SetNode{"bad", ""}}), Failed(DatastoreError::kBadPath, 1));
  EXPECT_FALSE(this->is_there(one, b));
  const auto content = this->get(one, a);
  ASSERT_TRUE(content);
  EXPECT_EQ(content->data, "before");
  EXPECT_EQ(content->stat.version, 0);
  EXPECT_EQ(content->stat.child_count, 0u);
  EXPECT_EQ(this->get(one, this->root_).value().stat, root_before);
  // No number was used up.
  EXPECT_EQ(this->create(one, {a + "/q-", "", CreateMode::kPersistentSequential}),
            a + "/q-0000000000");
}

TYPED_TEST_P(DatastoreNodes, RequestsAreDoneAndAnsweredInOrder) {
  auto& one = this->client();
  ASSERT_TRUE(this->create(one, {this->root_}));
  std::vector<int> answered;
  for (int i = 0; i < 100; ++i) {
    if (i % 2 == 0) {
      one->set({this->root_, std::to_string(i), i / 2}, [&, i](auto result) {
        EXPECT_TRUE(result);
        answered.push_back(i);
      });
    } else {
      one->get(this->root_, {}, [&, i](auto result) {
        EXPECT_TRUE(result && result->data == std::to_string(i - 1));
        answered.push_back(i);
      });
    }
  }
  ASSERT_TRUE(this->world_.wait([&] { return answered.size() == 100; }));
  EXPECT_TRUE(std::ranges::is_sorted(answered));
}

TYPED_TEST_P(DatastoreNodes, MoreRequestsThanTheLimitAreRefused) {
  auto& one = this->client();
  const std::size_t limit = DatastoreLimits{}.request_count_max;
  std::size_t done = 0, refused = 0;
  for (std::size_t i = 0; i < limit + 10; ++i) {
    one->exists(this->root_, {}, [&](auto result) {
      ++done;
      if (result) return;
      ++refused;
      EXPECT_EQ(result.error(), DatastoreError::kTooMany);
    });
  }
  EXPECT_EQ(done, 0u);
  ASSERT_TRUE(this->world_.wait([&] { return done == limit + 10; }));
  EXPECT_EQ(refused, 10u);
  EXPECT_TRUE(this->exists(one, this->root_));
}

/// Each client raises a number `count` times by get and set with the version that it read; the
/// loser of a race reads again. All at once.
template <class Suite, class Client>
void raise_number(Suite& suite, Client& client, int& count) {
  if (count == 0) return;
  client->get(suite.path(), {}, [&suite, &client, &count](auto content) {
    ASSERT_TRUE(content);
    const int number = std::stoi(content->data);
    client->set({suite.path(), std::to_string(number + 1), content->stat.version},
                [&suite, &client, &count](auto result) {
                  if (result) {
                    --count;
                  } else {
                    ASSERT_EQ(result.error(), DatastoreError::kBadVersion);
                    ++suite.races;
                  }
                  raise_number(suite, client, count);
                });
  });
}

template <class World>
class DatastoreContention : public DatastoreSuite<World> {
 public:
  [[nodiscard]] const std::string& path() const { return this->root_; }
  int races = 0;

 protected:
  void run(std::size_t client_count) {
    auto& reader = this->client();
    ASSERT_TRUE(this->create(reader, {path(), "0"}));
    std::vector<int> left(client_count, static_cast<int>(100 / client_count));
    for (int& count : left) raise_number(*this, this->client(), count);
    ASSERT_TRUE(this->world_.wait(
        [&] { return std::ranges::all_of(left, [](int each) { return each == 0; }); }));
    const auto content = this->get(reader, path());
    ASSERT_TRUE(content);
    EXPECT_EQ(content->data, "100");
    EXPECT_EQ(content->stat.version, 100);
  }
};
TYPED_TEST_SUITE_P(DatastoreContention);

TYPED_TEST_P(DatastoreContention, OneHundredIncrementsByFiveClientsEndAtOneHundred) {
  this->run(5);
}

TYPED_TEST_P(DatastoreContention, OneHundredIncrementsByTwoClientsEndAtOneHundred) {
  this->run(2);
}

REGISTER_TYPED_TEST_SUITE_P(DatastoreContention, OneHundredIncrementsByFiveClientsEndAtOneHundred,
                            OneHundredIncrementsByTwoClientsEndAtOneHundred);
REGISTER_TYPED_TEST_SUITE_P(DatastoreNodes, ACreatedNodeIsReadBackByAnotherClient,
                            ANodeMayBeEmptyAndGrowToItsLimit, SetNeedsTheExpectedVersion,
                            CreateNeedsAParentThatHasNoSuchChildAndIsNotEphemeral,
                            RemoveNeedsTheExpectedVersionAndNoChildren,
                            ANodeThatIsMadeAnewStartsAtVersionZero, ExistsTellsWhetherANodeIsThere,
                            ChildrenAreNamedInOrder, ABadPathIsRefused,
                            SequentialNodesCountWhatTheirParentWasGiven,
                            ASequenceNumberNeverComesTwice, AMultiDoesAll,
                            AMultiDoesNothingWhenOneCannotBeDone, RequestsAreDoneAndAnsweredInOrder,
                            MoreRequestsThanTheLimitAreRefused);

}  // namespace sluice::conformance
