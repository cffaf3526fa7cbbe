#include "rollout/protocol.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>

#include "rollout/group_record.h"
#include "system/error.h"
#include "tests/support/mutate.h"

namespace zeroth {
namespace {

using Random = std::mt19937_64;

std::int64_t below(Random& random, std::int64_t limit) {
  return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(limit));
}

RolloutsRequest random_request(Random& random) {
  RolloutsRequest request{.weights_sha256 = std::string(64, "0123456789abcdef"[random() % 16]),
                          .policy_version = static_cast<std::int64_t>(random()),
                          .sampling = {.temperature = 2.0 * std::ldexp(double(random() >> 11), -53),
                                       .max_new_tokens = 1 + below(random, 1 << 20),
                                       .seed = random() >> 1,
                                       .stream = static_cast<std::uint32_t>(random()),
                                       .top_k = below(random, 2) * below(random, 100),
                                       .top_p = 1.0 - 0.5 * static_cast<double>(below(random, 2)),
                                       .min_p = 0.3 * static_cast<double>(below(random, 2))},
                          .requests = {}};
  for (std::int64_t i = below(random, 4); i >= 0; --i) {
    GenerateRequest& r = request.requests.emplace_back();
    r.num_generations = 1 + below(random, std::numeric_limits<std::int32_t>::max());
    r.step = static_cast<std::uint32_t>(random());
    r.problem = static_cast<std::uint32_t>(random());
    for (std::int64_t t = below(random, 9); t >= 0; --t)
      r.prompt.push_back(static_cast<std::int32_t>(random() & 0x7fffffff));
  }
  return request;
}

bool equal(const RolloutsRequest& a, const RolloutsRequest& b) {
  const auto same = [](const GenerateRequest& x, const GenerateRequest& y) {
    return x.prompt == y.prompt && x.num_generations == y.num_generations && x.step == y.step &&
           x.problem == y.problem;
  };
  return a.weights_sha256 == b.weights_sha256 && a.policy_version == b.policy_version &&
         a.sampling == b.sampling &&
         std::equal(a.requests.begin(), a.requests.end(), b.requests.begin(), b.requests.end(),
                    same);
}

// Two requests, and groups that answer them.
RolloutsRequest small_request() {
  return {.weights_sha256 = std::string(64, 'a'),
          .policy_version = 5,
          .sampling = {.temperature = 0.5, .max_new_tokens = 4, .seed = 3, .stream = 1},
          .requests = {{.prompt = {1, 2}, .num_generations = 2, .step = 7, .problem = 8},
                       {.prompt = {3}, .num_generations = 1, .step = 7, .problem = 9}}};
}

std::vector<Group> random_groups(Random& random, const RolloutsRequest& request) {
  std::vector<Group> groups(request.requests.size());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto fill = [&](auto& values, std::int64_t size) {
      values.resize(static_cast<std::size_t>(size));
      for (auto& value : values) value = static_cast<std::decay_t<decltype(value)>>(random());
    };
    fill(groups[i].prompt_experts, below(random, 6));
    groups[i].completions.resize(static_cast<std::size_t>(request.requests[i].num_generations));
    for (Completion& c : groups[i].completions) {
      const std::int64_t size = 1 + below(random, request.sampling.max_new_tokens);
      fill(c.tokens, size);
      fill(c.logprobs, size);
      fill(c.experts, 2 * (size - 1));
      c.stop_reason = random() % 2 == 0 ? StopReason::length : StopReason::end_of_sequence;
      c.policy_version = request.policy_version;
    }
  }
  return groups;
}

std::string field_of(const std::function<void()>& read) {
  try {
    read();
  } catch (const InputError& error) {
    CHECK(error.parts().source == "peer");
    CHECK_FALSE(error.parts().expected.empty());
    CHECK_FALSE(error.parts().actual.empty());
    return error.parts().field;
  }
  return "no error";
}

std::string field_of_request(const boost::json::value& json) {
  return field_of([&] { read_rollouts_request(boost::json::serialize(json), "peer"); });
}

}  // namespace

TEST_CASE("protocol: a request that is read is the one that was written", "[rollout]") {
  Random random(1);
  for (int i = 0; i < 500; ++i) {
    const RolloutsRequest request = random_request(random);
    CHECK(equal(read_rollouts_request(write_rollouts_request(request), "peer"), request));
  }
}

TEST_CASE("protocol: groups that are read are those that were written, to the bit", "[rollout]") {
  Random random(2);
  const RolloutsRequest request = small_request();
  for (int i = 0; i < 500; ++i) {
    const std::string bytes = write_groups(random_groups(random, request));
    CHECK(write_groups(read_groups(bytes, request, "peer")) == bytes);
  }
}

TEST_CASE("protocol: a request without truncation has the bytes it had before there was any",
          "[rollout]") {
  const std::string whole = write_rollouts_request(small_request());
  CHECK(whole.find("top_") == std::string::npos);
  CHECK(whole.find("min_p") == std::string::npos);
  RolloutsRequest request = small_request();
  request.sampling.top_p = 0.9;
  const std::string truncated = write_rollouts_request(request);
  CHECK(truncated.find("\"top_p\":0.9") != std::string::npos);
  CHECK(truncated.find("top_k") == std::string::npos);
}

TEST_CASE("protocol: sampling log-probs come where tokens are left out and only there",
          "[rollout]") {
  Random random(3);
  RolloutsRequest request = small_request();
  std::vector<Group> groups = random_groups(random, request);
  const auto field = [&] {
    return field_of([&] { read_groups(write_groups(groups), request, "peer"); });
  };
  CHECK(field() == "no error");
  request.sampling.top_k = 3;
  CHECK(field() == "groups[0].sampling_logprobs");
  for (Group& group : groups) {
    for (Completion& c : group.completions) c.sampling_logprobs = c.logprobs;
  }
  CHECK(field() == "no error");
  request.sampling.temperature = 0.0;  // greedy leaves nothing to choose
  CHECK(field() == "groups[0].sampling_logprobs");
}

TEST_CASE("protocol: health that is read is the one that was written", "[rollout]") {
  const WorkerHealth bare{.version = "0.1.0", .isa = "avx2", .numerics = {}, .weights = {}};
  const WorkerHealth again = read_health(write_health(bare), "peer");
  CHECK(again.version == "0.1.0");
  CHECK(again.isa == "avx2");
  CHECK(again.numerics.empty());
  CHECK_FALSE(again.weights);
  CHECK(again.queued == 0);

  const WorkerHealth full{.version = "",
                          .isa = "\"\n",
                          .numerics = {{"float32", "float32-1"}, {"bfloat16", "bfloat16-2"}},
                          .weights = WeightsLabel{.learner = "run",
                                                  .epoch = std::numeric_limits<std::int64_t>::max(),
                                                  .version = 7,
                                                  .sha256 = std::string(64, 'f')},
                          .queued = 3};
  const WorkerHealth read = read_health(write_health(full), "peer");
  CHECK(read.isa == full.isa);
  CHECK(read.numerics == full.numerics);
  REQUIRE(read.weights);
  CHECK(label_sha256(*read.weights) == label_sha256(*full.weights));
  CHECK(read.queued == 3);
}

TEST_CASE("protocol: a label's hash tells every member and where it ends", "[rollout]") {
  const WeightsLabel label{.learner = "ab", .epoch = 12, .version = 3, .sha256 = "cd"};
  // printf 'ab\n12\n3\ncd\n' | sha256sum
  CHECK(label_sha256(label) == "522e60ffb0bb0acc9871fac492928711c0aa153a6e1c0528ed7e48aae5795d64");
  const std::vector<WeightsLabel> others = {
      {.learner = "a", .epoch = 12, .version = 3, .sha256 = "cd"},
      {.learner = "ab", .epoch = 1, .version = 23, .sha256 = "cd"},
      {.learner = "ab", .epoch = 123, .version = 3, .sha256 = "cd"},
      {.learner = "ab", .epoch = 12, .version = 3, .sha256 = "ce"}};
  for (const WeightsLabel& other : others) CHECK(label_sha256(other) != label_sha256(label));
}

TEST_CASE("protocol: a wrong field of a request is named", "[rollout]") {
  const boost::json::object good =
      boost::json::parse(write_rollouts_request(small_request())).as_object();
  CHECK(field_of_request(good) == "no error");
  const std::int64_t above = std::int64_t{1} << 32;
  const std::vector<std::tuple<std::string, boost::json::value>> wrong = {
      {"weights_sha256", 3},
      {"policy_version", 1.5},
      {"policy_version", "1"},
      {"temperature", -0.1},
      {"temperature", "hot"},
      {"max_new_tokens", 0},
      {"max_new_tokens", above},
      {"seed", -1},
      {"stream", above},
      {"stream", -1},
      {"requests", 1},
      {"requests", boost::json::array()},
      {"seed", std::numeric_limits<std::uint64_t>::max()}};
  for (const auto& [key, value] : wrong) {
    boost::json::object json = good;
    json[key] = value;
    INFO(key << " = " << value);
    CHECK(field_of_request(json) == key);
    json.erase(key);
    INFO("without it");
    CHECK(field_of_request(json) == key);
  }
  const std::vector<std::tuple<std::string, boost::json::value, std::string>> in_a_request = {
      {"prompt", boost::json::array(), "prompt"},
      {"prompt", 3, "prompt"},
      {"prompt", {1, -1}, "prompt[1]"},
      {"prompt", {1, std::int64_t{1} << 31}, "prompt[1]"},
      {"prompt", {"1"}, "prompt[0]"},
      {"num_generations", 0, "num_generations"},
      {"num_generations", std::int64_t{1} << 31, "num_generations"},
      {"step", -1, "step"},
      {"problem", above, "problem"},
      {"attempt", 1, "attempt"}};
  for (const auto& [key, value, field] : in_a_request) {
    boost::json::object json = good;
    json["requests"].as_array()[1].as_object()[key] = value;
    INFO(key << " = " << value);
    CHECK(field_of_request(json) == "requests[1]." + field);
  }
  const std::vector<std::tuple<std::string, boost::json::value>> truncations = {
      {"top_k", -1}, {"top_k", 1.5},  {"top_p", 0.0}, {"top_p", 1.1},
      {"top_p", ""}, {"min_p", -0.1}, {"min_p", 1.1}, {"min_p", boost::json::array()}};
  for (const auto& [key, value] : truncations) {
    boost::json::object json = good;
    json[key] = value;
    INFO(key << " = " << value);
    CHECK(field_of_request(json) == key);
  }
  boost::json::object json = good;
  json["tempreature"] = 1.0;
  CHECK_THROWS_WITH(read_rollouts_request(boost::json::serialize(json), "peer"),
                    Catch::Contains("tempreature") && Catch::Contains("temperature"));
  CHECK(field_of_request(boost::json::array()) != "no error");
}

TEST_CASE("protocol: a wrong field of a worker's health is named", "[rollout]") {
  const WorkerHealth health{.version = "1",
                            .isa = "avx2",
                            .numerics = {{"float32", "x"}},
                            .weights = WeightsLabel{.learner = "run", .sha256 = "y"}};
  const boost::json::object good = boost::json::parse(write_health(health)).as_object();
  const auto field = [](const boost::json::object& json) {
    return field_of([&] { read_health(boost::json::serialize(json), "peer"); });
  };
  CHECK(field(good) == "no error");
  for (const char* key : {"version", "isa", "numerics", "queued"}) {
    boost::json::object json = good;
    json.erase(key);
    CHECK(field(json) == key);
    json[key] = boost::json::array();
    CHECK(field(json) == key);
  }
  for (const char* key : {"learner", "epoch", "policy_version", "sha256"}) {
    boost::json::object json = good;
    json["weights"].as_object().erase(key);
    CHECK(field(json) == std::string("weights.") + key);
  }
  boost::json::object json = good;
  json["numerics"].as_object()["float32"] = 1;
  CHECK(field(json) == "numerics.float32");
}

TEST_CASE("protocol: groups that do not answer the request are refused by name", "[rollout]") {
  Random random(3);
  const RolloutsRequest request = small_request();
  const std::vector<Group> good = random_groups(random, request);
  const auto field = [&](const std::function<void(std::vector<Group>&)>& change) {
    std::vector<Group> groups = good;
    change(groups);
    return field_of([&] { read_groups(write_groups(groups), request, "peer"); });
  };
  using Groups = std::vector<Group>;
  CHECK(field([](Groups&) {}) == "no error");
  CHECK(field([](Groups& g) { g.pop_back(); }) == "groups");
  CHECK(field([](Groups& g) { g.push_back(g[0]); }) == "groups");
  CHECK(field([](Groups& g) { std::swap(g[0], g[1]); }) == "groups[0].completions");
  CHECK(field([](Groups& g) { g[1].completions.clear(); }) == "groups[1].completions");
  CHECK(field([](Groups& g) { g[0].completions[1].policy_version = 4; }) ==
        "groups[0].policy_version");
  CHECK(field([](Groups& g) {
          g[1].completions[0].tokens.resize(5);
          g[1].completions[0].logprobs.resize(5);
        }) == "groups[1].tokens");
  const std::string bytes = write_groups(good);
  CHECK(field_of([&] { read_groups(bytes + "x", request, "peer"); }) == "bytes after the groups");
  for (std::size_t size = 0; size < bytes.size(); ++size)
    CHECK(field_of([&] { read_groups(bytes.substr(0, size), request, "peer"); }) != "no error");
}

TEST_CASE("protocol: damaged bytes are read or refused", "[rollout]") {
  Random random(4);
  const RolloutsRequest request = small_request();
  const std::string json = write_rollouts_request(request);
  const std::string groups = write_groups(random_groups(random, request));
  const std::string health = write_health(
      {.version = "1", .isa = "avx2", .numerics = {{"float32", "x"}}, .weights = WeightsLabel{}});
  int refused = 0;
  int read = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    const std::function<void()> readings[] = {
        [&] {  // what is read can be written again
          write_rollouts_request(read_rollouts_request(testing::mutate(json, seed), "peer"));
        },
        [&] { write_groups(read_groups(testing::mutate(groups, seed), request, "peer")); },
        [&] { write_health(read_health(testing::mutate(health, seed), "peer")); }};
    for (const auto& reading : readings) {
      try {
        reading();
        ++read;
      } catch (const InputError&) {
        ++refused;
      }
    }
  }
  CHECK(refused > 1000);
  CHECK(read > 100);
}

TEST_CASE("protocol: the most tokens of a request are counted and saturate", "[rollout]") {
  RolloutsRequest request = small_request();
  CHECK(num_completions(request) == 3);
  CHECK(most_tokens(request) == 12);
  const std::int64_t most = std::numeric_limits<std::int32_t>::max();
  request.sampling.max_new_tokens = most;
  request.requests.assign(1, {.prompt = {1}, .num_generations = most});
  CHECK(most_tokens(request) == most * most);
  request.requests.assign(2, request.requests[0]);
  CHECK(most_tokens(request) == 2 * most * most);
  request.requests.assign(3, request.requests[0]);
  CHECK(most_tokens(request) == std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("protocol: a seed that JSON's integers do not hold is not written", "[rollout]") {
  RolloutsRequest request = small_request();
  request.sampling.seed = std::numeric_limits<std::int64_t>::max();
  CHECK(equal(read_rollouts_request(write_rollouts_request(request), "peer"), request));
  ++request.sampling.seed;
  CHECK_THROWS_AS(write_rollouts_request(request), std::invalid_argument);
}

}  // namespace zeroth
