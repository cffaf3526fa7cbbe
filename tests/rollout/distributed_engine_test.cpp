// Groups sampled over ranks, which are threads here.
#include "rollout/distributed_engine.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <stdexcept>

#include "rollout/group_record.h"
#include "rollout/local_engine.h"
#include "tests/rollout/tiny_policy.h"
#include "tests/support/ranks.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

const SamplingParams kSampling{.temperature = 0.9, .max_new_tokens = 12, .seed = 21, .stream = 2};

std::string record_of(const std::vector<Group>& groups) {
  std::string bytes;
  for (const Group& group : groups) append_group_record(bytes, group);
  return bytes;
}

// Remembers which problems it was asked for.
class ListeningEngine : public Engine {
 public:
  explicit ListeningEngine(Engine& engine) : engine_(engine) {}
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& on_group = {}) override {
    if (requests.empty()) throw std::invalid_argument("asked for nothing");
    for (const GenerateRequest& request : requests) asked.push_back(request.problem);
    return engine_.generate(requests, sampling, on_group);
  }
  std::vector<std::uint32_t> asked;

 private:
  Engine& engine_;
};

TEST_CASE("distributed engine: any number of ranks gives all of them one rank's groups",
          "[rollout]") {
  for (const char* json : {testing::kTinyDeepseek, testing::kTinyQwen2}) {
    const testing::TinyPolicy tiny(json);
    for (const std::size_t count : {std::size_t{5}, std::size_t{1}, std::size_t{0}}) {
      const auto requests = testing::mixed_requests(count);
      const auto sampled_over = [&](int num_ranks) {
        std::vector<std::string> records(static_cast<std::size_t>(num_ranks));
        std::vector<std::vector<std::uint32_t>> asked(records.size());
        testing::run_ranks(num_ranks, [&](Collectives& ranks) {
          ThreadPool pool(1);
          const Context context{best_isa(), &pool};
          LocalEngine local(context, tiny.policy, {.page_size = 4, .record_experts = true});
          ListeningEngine listening(local);
          DistributedEngine engine(listening, ranks);
          std::map<std::size_t, std::string> heard;
          const std::vector<Group> groups =
              count == 0 && num_ranks == 1
                  ? std::vector<Group>()
                  : engine.generate(requests, kSampling, [&](std::size_t i, const Group& group) {
                      if (!heard.emplace(i, record_of({group})).second)
                        throw std::runtime_error("heard twice");
                    });
          for (std::size_t i = 0; i < groups.size(); ++i) {
            if (heard.at(i) != record_of({groups[i]})) throw std::runtime_error("heard another");
          }
          const auto r = static_cast<std::size_t>(ranks.rank());
          records[r] = std::to_string(groups.size()) + record_of(groups);
          asked[r] = listening.asked;
        });
        std::vector<std::uint32_t> all;
        for (const auto& part : asked) {
          all.insert(all.end(), part.begin(), part.end());
          CHECK(part.size() <= count / static_cast<std::size_t>(num_ranks) + 1);
        }
        CHECK(all.size() == count);  // each sampled once
        return records;
      };
      const std::string one = sampled_over(1)[0];
      for (const int num_ranks : {2, 3}) {
        for (const std::string& record : sampled_over(num_ranks)) CHECK(record == one);
      }
    }
  }
}

TEST_CASE("distributed engine: statistics are those of all ranks added up", "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);
  const auto requests = testing::mixed_requests(5);
  const auto statistics_over = [&](int num_ranks) {
    std::vector<GenerationStatistics> statistics(static_cast<std::size_t>(num_ranks));
    testing::run_ranks(num_ranks, [&](Collectives& ranks) {
      ThreadPool pool(1);
      const Context context{best_isa(), &pool};
      // Room for few: some give way.
      LocalEngine local(
          context, tiny.policy,
          {.page_size = 4, .max_cache_bytes = 60 * cache_bytes_per_token(tiny.config)});
      DistributedEngine engine(local, ranks);
      engine.generate(requests, kSampling);
      statistics[static_cast<std::size_t>(ranks.rank())] = engine.statistics();
    });
    return statistics;
  };
  const GenerationStatistics one = statistics_over(1)[0];
  CHECK(one.sampled_tokens > 0);
  for (const GenerationStatistics& all : statistics_over(3)) {
    CHECK(all.prompt_tokens == one.prompt_tokens);
    CHECK(all.sampled_tokens == one.sampled_tokens);
    CHECK(all.finished_completions == one.finished_completions);
    CHECK(all.num_completions == one.num_completions);
  }
}

TEST_CASE("distributed engine: what one rank's engine throws ends the call on all", "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);
  auto requests = testing::mixed_requests(4);
  requests[3].prompt = {1000};  // rank 1's, and no token of the vocabulary
  const auto outcomes = testing::outcomes_of_ranks(2, [&](Collectives& ranks) {
    ThreadPool pool(1);
    const Context context{best_isa(), &pool};
    LocalEngine local(context, tiny.policy, {});
    DistributedEngine(local, ranks).generate(requests, kSampling);
  });
  CHECK(testing::what_of(outcomes[0]).find("rank 1 (") == 0);
  CHECK(testing::what_of(outcomes[1]).find("1000") != std::string::npos);
}

}  // namespace
}  // namespace zeroth
