#include "rollout/scheduler.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <stdexcept>
#include <utility>

#include "tests/rollout/tiny_policy.h"

namespace zeroth {
namespace {

const std::vector<std::int64_t> kStop = {2, 3};

// In place of a model: the token drawn is a function of all tokens seen and of the key. About one
// in ten stops, and none of a problem of odd number: lengths that nobody can foresee.
std::int32_t token_after(const std::vector<std::int32_t>& history, const SampleKey& key) {
  std::uint32_t hash = 17;
  for (const std::int32_t token : history) hash = hash * 31U + static_cast<std::uint32_t>(token);
  SampleKey mixed = key;
  mixed.stream += hash;
  const auto token = static_cast<std::int32_t>(uniform_double(mixed) * 20.0);
  return key.problem % 2 == 1 && token < 4 ? 4 : token;
}

Completion expected(const GenerateRequest& request, std::uint32_t sample,
                    const SamplingParams& sampling) {
  Completion completion;
  std::vector<std::int32_t> history = request.prompt;
  while (static_cast<std::int64_t>(completion.tokens.size()) < sampling.max_new_tokens) {
    const auto position = static_cast<std::uint32_t>(completion.tokens.size());
    const std::int32_t token = token_after(history, {.seed = sampling.seed,
                                                     .step = request.step,
                                                     .problem = request.problem,
                                                     .sample = sample,
                                                     .position = position,
                                                     .stream = sampling.stream});
    completion.tokens.push_back(token);
    history.push_back(token);
    if (token == 2 || token == 3) {
      completion.stop_reason = StopReason::end_of_sequence;
      break;
    }
  }
  return completion;
}

// A cache of tokens: shows what each query of a batch would see.
class TokenCache {
 public:
  /// With `own_prompt_rows` rows of prompts are not those of completions, though numbered alike.
  explicit TokenCache(bool own_prompt_rows) : own_prompt_rows_(own_prompt_rows) {}

  /// Writes the batch's tokens to their rows; histories[t] is what query t sees, in order.
  std::vector<std::vector<std::int32_t>> run(const ForwardBatch& batch) {
    for (const AttentionGroup& group : batch.groups) {
      for (std::int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
        write(batch, batch.members[static_cast<std::size_t>(m)], group.prefix_length == 0);
      }
    }
    std::vector<std::vector<std::int32_t>> histories;
    for (const AttentionGroup& group : batch.groups) {
      std::vector<std::int32_t> prefix;
      append(batch, group.first_run, group.num_runs, true, prefix);
      REQUIRE(static_cast<std::int64_t>(prefix.size()) == group.prefix_length);
      for (std::int64_t m = group.first_member; m < group.first_member + group.num_members; ++m) {
        const AttentionMember& member = batch.members[static_cast<std::size_t>(m)];
        REQUIRE(member.first_query == static_cast<std::int64_t>(histories.size()));
        std::vector<std::int32_t> all = prefix;
        append(batch, member.first_run, member.num_runs, group.prefix_length == 0, all);
        const std::int64_t before = group.prefix_length + member.own_before;
        REQUIRE(static_cast<std::int64_t>(all.size()) == before + member.num_queries);
        for (std::int64_t q = before; q < before + member.num_queries; ++q) {
          REQUIRE(batch.positions[histories.size()] == q);
          histories.emplace_back(all.begin(), all.begin() + q + 1);
        }
      }
    }
    REQUIRE(histories.size() == batch.tokens.size());
    return histories;
  }

 private:
  std::int64_t place(std::int64_t row, bool of_prompt) const {
    return own_prompt_rows_ && of_prompt ? -1 - row : row;
  }

  void write(const ForwardBatch& batch, const AttentionMember& member, bool of_prompt) {
    for (std::int64_t q = member.first_query; q < member.first_query + member.num_queries; ++q) {
      const auto t = static_cast<std::size_t>(q);
      rows_[place(batch.cache_rows[t], of_prompt)] = {batch.tokens[t], batch.positions[t]};
    }
  }

  // Positions count up along the keys of a sequence.
  void append(const ForwardBatch& batch, std::int64_t first, std::int64_t count, bool of_prompt,
              std::vector<std::int32_t>& tokens) {
    for (std::int64_t r = first; r < first + count; ++r) {
      const KeyRun& run = batch.runs[static_cast<std::size_t>(r)];
      for (std::int64_t row = run.row; row < run.row + run.count; ++row) {
        const auto& [token, position] = rows_.at(place(row, of_prompt));
        REQUIRE(position == static_cast<std::int32_t>(tokens.size()));
        tokens.push_back(token);
      }
    }
  }

  bool own_prompt_rows_;
  std::map<std::int64_t, std::pair<std::int32_t, std::int32_t>> rows_;  // token, position
};

struct Run {
  std::vector<Group> groups;
  GenerationStatistics statistics;
  std::int64_t most_decoding = 0;  // completions in a pass
  std::int64_t most_prefill = 0;   // prompt tokens and recomputed ones in a pass
};

Run run(const std::vector<GenerateRequest>& requests, const SamplingParams& sampling,
        SchedulerConfig config) {
  config.stop_tokens = kStop;
  Scheduler scheduler(requests, sampling, config);
  TokenCache cache(config.num_prompt_pages.has_value());
  ForwardBatch batch;
  std::vector<Draw> draws;
  Run result;
  GenerationStatistics before;
  while (scheduler.next(batch, draws)) {
    const auto histories = cache.run(batch);
    std::vector<std::int32_t> tokens;
    for (const Draw& draw : draws) {
      tokens.push_back(token_after(histories[static_cast<std::size_t>(draw.row)], draw.key));
    }
    // Numbers in place of experts: one layer of the token's position, one of two constants.
    std::vector<std::vector<std::int32_t>> experts = {batch.positions, {}};
    for (std::int64_t t = 0; t < batch.size(); ++t) experts[1].insert(experts[1].end(), {500, 600});
    scheduler.record_experts(batch, experts);
    const GenerationStatistics now = scheduler.statistics();
    const std::int64_t prefill =
        now.prompt_tokens - before.prompt_tokens + now.recomputed_tokens - before.recomputed_tokens;
    before = now;
    result.most_prefill = std::max(result.most_prefill, prefill);
    result.most_decoding = std::max(result.most_decoding, batch.size() - prefill);
    scheduler.accept(tokens, std::vector<float>(tokens.size(), -1.0F));
  }
  result.statistics = scheduler.statistics();
  result.groups = scheduler.take_groups();
  return result;
}

void check_experts(const std::vector<std::uint16_t>& experts, std::size_t first_position,
                   std::size_t count) {
  REQUIRE(experts.size() == 3 * count);
  for (std::size_t t = 0; t < count; ++t) {
    REQUIRE(experts[3 * t] == first_position + t);
    REQUIRE(experts[3 * t + 1] == 500);
    REQUIRE(experts[3 * t + 2] == 600);
  }
}

void check_groups(const std::vector<GenerateRequest>& requests, const SamplingParams& sampling,
                  const std::vector<Group>& groups) {
  REQUIRE(groups.size() == requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::size_t prompt = requests[i].prompt.size();
    REQUIRE(groups[i].completions.size() == static_cast<std::size_t>(requests[i].num_generations));
    check_experts(groups[i].prompt_experts, 0, prompt);
    for (std::size_t s = 0; s < groups[i].completions.size(); ++s) {
      const Completion& completion = groups[i].completions[s];
      const Completion wanted = expected(requests[i], static_cast<std::uint32_t>(s), sampling);
      REQUIRE(completion.tokens == wanted.tokens);
      REQUIRE(completion.stop_reason == wanted.stop_reason);
      REQUIRE(completion.logprobs.size() == completion.tokens.size());
      check_experts(completion.experts, prompt, completion.tokens.size() - 1);
    }
  }
}

TEST_CASE("scheduler: every query sees its own sequence, whatever the slots, pages and chunks",
          "[rollout]") {
  const std::vector<GenerateRequest> requests = testing::mixed_requests(25);
  const SamplingParams sampling{.max_new_tokens = 12, .seed = 4, .stream = 1};
  std::int64_t prompts = 0;
  for (const GenerateRequest& request : requests)
    prompts += static_cast<std::int64_t>(request.prompt.size());
  for (const std::int64_t slots : {1, 2, 9, 1000}) {
    for (const std::int64_t page_size : {1, 4, 16}) {
      for (const std::int64_t chunk : {0, 1, 7}) {
        INFO(slots << " slots, pages of " << page_size << ", chunks of " << chunk);
        const std::int64_t enough = enough_pages(requests, sampling, slots, page_size).all();
        const Run result = run(requests, sampling,
                               {.max_num_seqs = slots,
                                .page_size = page_size,
                                .num_pages = enough,
                                .prefill_chunk = chunk});
        check_groups(requests, sampling, result.groups);
        CHECK(result.most_decoding <= slots);
        CHECK((chunk == 0 || result.most_prefill <= chunk));
        CHECK(result.statistics.prompt_tokens == prompts);
        CHECK(result.statistics.peak_pages <= enough);
        CHECK(result.statistics.finished_completions == result.statistics.num_completions);
        CHECK(result.statistics.preemptions == 0);
        CHECK(result.statistics.recomputed_tokens == 0);
      }
    }
  }
}

TEST_CASE("scheduler: few pages delay completions and change none", "[rollout]") {
  const std::vector<GenerateRequest> requests = testing::mixed_requests(20);
  const SamplingParams sampling{.max_new_tokens = 9, .seed = 4};
  // 18 rows of the longest prompt and 8 of a completion, in pages of 4: 5 + 2 at the least.
  const Run wide = run(requests, sampling, {.max_num_seqs = 64, .page_size = 4, .num_pages = 1000});
  for (const std::int64_t num_pages : {7, 8, 20}) {
    const Run tight =
        run(requests, sampling, {.max_num_seqs = 64, .page_size = 4, .num_pages = num_pages});
    check_groups(requests, sampling, tight.groups);
    CHECK(tight.statistics.peak_pages <= num_pages);
    CHECK(tight.statistics.forward_passes > wide.statistics.forward_passes);
    CHECK(tight.statistics.prompt_tokens == wide.statistics.prompt_tokens);
  }
}

TEST_CASE("scheduler: prompts with pages of their own delay, and change no completion",
          "[rollout]") {
  const std::vector<GenerateRequest> requests = testing::mixed_requests(20);
  const SamplingParams sampling{.max_new_tokens = 9, .seed = 4};
  const PageCounts fewest = fewest_pages(requests, sampling, 4);
  CHECK(fewest.prompts == 5);
  CHECK(fewest.completions == 2);
  for (const std::int64_t prompts : {5, 6, 30, 1000}) {
    for (const std::int64_t completions : {2, 3, 30, 1000}) {
      for (const std::int64_t chunk : {0, 7}) {
        const Run result = run(requests, sampling,
                               {.max_num_seqs = 64,
                                .page_size = 4,
                                .num_pages = completions,
                                .num_prompt_pages = prompts,
                                .prefill_chunk = chunk});
        check_groups(requests, sampling, result.groups);
        CHECK(result.statistics.peak_pages <= prompts + completions);
      }
    }
  }
  CHECK_THROWS_AS(run(requests, sampling, {.page_size = 4, .num_pages = 9, .num_prompt_pages = 4}),
                  std::invalid_argument);
  CHECK_THROWS_AS(run(requests, sampling, {.page_size = 4, .num_pages = 1, .num_prompt_pages = 9}),
                  std::invalid_argument);
}

// Draws tokens by hand: `tokens` for the draws of the pass, in their order.
void accept(Scheduler& scheduler, const std::vector<std::int32_t>& tokens) {
  scheduler.accept(tokens, std::vector<float>(tokens.size(), -1.0F));
}

TEST_CASE("scheduler: by hand: the later of two completions gives way and is computed again",
          "[rollout]") {
  // Pages of two rows: one for the prompt, at most three for a completion, five in all. The first
  // of three completions ends at once, so a mean of 3 tokens is expected and the others start.
  std::vector<GenerateRequest> requests(1);
  requests[0] = {.prompt = {8, 9}, .num_generations = 3};
  const SchedulerConfig config{.page_size = 2, .num_pages = 5, .stop_tokens = kStop};
  for (const std::int64_t chunk : {0, 3}) {
    SchedulerConfig chunked = config;
    chunked.prefill_chunk = chunk;
    Scheduler scheduler(requests, {.max_new_tokens = 6}, chunked);
    ForwardBatch batch;
    std::vector<Draw> draws;
    REQUIRE(scheduler.next(batch, draws));
    CHECK(batch.tokens == std::vector<std::int32_t>{8, 9});
    accept(scheduler, {2, 10, 20});
    for (std::int32_t row = 0; row < 4; ++row) {  // side by side: all pages are taken then
      REQUIRE(scheduler.next(batch, draws));
      CHECK(batch.tokens == std::vector<std::int32_t>{10 + row, 20 + row});
      accept(scheduler, {11 + row, 21 + row});
    }
    CHECK(scheduler.statistics().preemptions == 0);
    REQUIRE(scheduler.next(batch, draws));  // row 4 of the first of them takes a page of the other
    CHECK(batch.tokens == std::vector<std::int32_t>{14});
    CHECK(scheduler.statistics().preemptions == 1);
    accept(scheduler, {15});
    REQUIRE(scheduler.next(batch, draws));
    if (chunk == 3) {
      CHECK(batch.tokens == std::vector<std::int32_t>{20, 21, 22});
      CHECK(draws.empty());
      CHECK(scheduler.statistics().recomputed_tokens == 3);
      accept(scheduler, {});
      REQUIRE(scheduler.next(batch, draws));
      CHECK(batch.tokens == std::vector<std::int32_t>{23, 24});
      CHECK(batch.positions == std::vector<std::int32_t>{5, 6});
      CHECK(batch.members[0].own_before == 3);
    } else {
      CHECK(batch.tokens == std::vector<std::int32_t>{20, 21, 22, 23, 24});
      CHECK(batch.positions == std::vector<std::int32_t>{2, 3, 4, 5, 6});
    }
    REQUIRE(draws.size() == 1);
    CHECK(draws[0].row == batch.size() - 1);
    CHECK(draws[0].key.sample == 2);
    CHECK(draws[0].key.position == 5);
    accept(scheduler, {25});
    CHECK_FALSE(scheduler.next(batch, draws));
    CHECK(scheduler.statistics().recomputed_tokens == 4);
    CHECK(scheduler.statistics().prompt_tokens == 2);
    CHECK(scheduler.statistics().sampled_tokens == 3 + 8 + 1 + 1);
    const std::vector<Group> groups = scheduler.take_groups();
    CHECK(groups[0].completions[1].tokens == std::vector<std::int32_t>{10, 11, 12, 13, 14, 15});
    CHECK(groups[0].completions[2].tokens == std::vector<std::int32_t>{20, 21, 22, 23, 24, 25});
  }
}

TEST_CASE("scheduler: by hand: a prompt gives way and is fed again without a draw", "[rollout]") {
  // Eight pages of one row; prompts of 3 and 2 tokens, completions of at most 4 rows. A request
  // whose completion ends at once comes first: a mean of 3 tokens is expected from then on, which
  // lets the second completion wait behind the first. The fourth row of that takes the prompt's.
  const std::vector<GenerateRequest> requests = {{.prompt = {7}, .problem = 0},
                                                 {.prompt = {8, 9, 10}, .problem = 1},
                                                 {.prompt = {11, 12}, .problem = 2}};
  Scheduler scheduler(requests, {.max_new_tokens = 5},
                      {.page_size = 1, .num_pages = 8, .stop_tokens = kStop});
  ForwardBatch batch;
  std::vector<Draw> draws;
  std::vector<std::vector<std::int32_t>> fed;
  std::vector<std::size_t> num_draws;
  while (scheduler.next(batch, draws)) {
    fed.push_back(batch.tokens);
    num_draws.push_back(draws.size());
    scheduler.record_experts(batch, {batch.positions});
    std::vector<std::int32_t> tokens;
    for (const Draw& d : draws) {
      const auto token = static_cast<std::int32_t>(20 * d.key.problem + d.key.position);
      tokens.push_back(d.key.problem == 0 ? 2 : token);
    }
    accept(scheduler, tokens);
  }
  CHECK(fed ==
        std::vector<std::vector<std::int32_t>>{
            {7}, {8, 9, 10, 11, 12}, {20}, {21}, {22}, {23}, {11, 12}, {40}, {41}, {42}, {43}});
  CHECK(num_draws == std::vector<std::size_t>{1, 2, 1, 1, 1, 1, 0, 1, 1, 1, 1});
  CHECK(scheduler.statistics().prompt_tokens == 6);
  CHECK(scheduler.statistics().recomputed_tokens == 2);
  CHECK(scheduler.group(2).prompt_experts == std::vector<std::uint16_t>{0, 1});
  CHECK(scheduler.group(2).completions[0].experts == std::vector<std::uint16_t>{2, 3, 4, 5});
}

TEST_CASE("scheduler: any workload in any cache: all finish, every query sees its own sequence",
          "[rollout]") {
  std::int64_t preemptions = 0;
  std::int64_t recomputed = 0;
  std::int64_t sampled = 0;
  for (std::uint32_t round = 0; round < 300; ++round) {
    const auto below = [&](std::uint32_t index, std::uint32_t limit) {
      return Philox::block({round, index, 0, 0}, {3, 4})[0] % limit;
    };
    std::vector<GenerateRequest> requests = testing::mixed_requests(1 + below(0, 12));
    for (GenerateRequest& request : requests) request.num_generations *= 1 + 3 * (round % 3);
    const SamplingParams sampling{.max_new_tokens = 1 + below(1, 40), .seed = round};
    const std::int64_t page_size = std::array{1, 2, 3, 16}[below(2, 4)];
    const std::int64_t slots = std::array{1, 5, 1000}[below(3, 3)];
    const PageCounts fewest = fewest_pages(requests, sampling, page_size);
    const PageCounts enough = enough_pages(requests, sampling, slots, page_size);
    // The least cache, one a little larger, or anything up to what is enough. A page that was lost
    // would stop the first of these.
    const auto between = [&](std::int64_t least, std::int64_t most, std::uint32_t index) {
      const std::int64_t span = std::max<std::int64_t>(0, most - least);
      const std::int64_t spare =
          std::array{std::int64_t{0}, span / 8, span / 3, span}[below(index, 4)];
      return least + below(index + 1, static_cast<std::uint32_t>(spare + 1));
    };
    SchedulerConfig config{.max_num_seqs = slots,
                           .page_size = page_size,
                           .num_pages = between(fewest.all(), enough.all(), 4),
                           .prefill_chunk = std::array{0, 1, 7, 64}[below(6, 4)]};
    if (below(7, 2) == 1) {
      config.num_pages = between(fewest.completions, enough.completions, 8);
      config.num_prompt_pages = between(fewest.prompts, enough.prompts, 10);
    }
    INFO("round " << round);
    const Run result = run(requests, sampling, config);
    check_groups(requests, sampling, result.groups);
    const GenerationStatistics& s = result.statistics;
    CHECK(result.most_decoding <= slots);
    CHECK((config.prefill_chunk == 0 || result.most_prefill <= config.prefill_chunk));
    CHECK(s.peak_pages <= config.num_pages + config.num_prompt_pages.value_or(0));
    CHECK(s.finished_completions == s.num_completions);
    std::int64_t prompts = 0;
    for (const GenerateRequest& r : requests) prompts += static_cast<std::int64_t>(r.prompt.size());
    CHECK(s.prompt_tokens == prompts);
    preemptions += s.preemptions;
    recomputed += s.recomputed_tokens;
    sampled += s.sampled_tokens;
  }
  CHECK(preemptions > 500);
  CHECK(recomputed < sampled / 10);  // though lengths are hard to foresee
}

TEST_CASE("scheduler: a group of 100 in 64 slots fills them and feeds the prompt once",
          "[rollout]") {
  std::vector<GenerateRequest> requests = testing::mixed_requests(1);
  requests[0].prompt.assign(10, 7);
  requests[0].num_generations = 100;
  const SamplingParams sampling{.max_new_tokens = 30, .seed = 9};
  const Run result = run(requests, sampling, {.max_num_seqs = 64, .num_pages = 1000});
  check_groups(requests, sampling, result.groups);
  CHECK(result.most_decoding == 64);
  CHECK(result.statistics.prompt_tokens == 10);
  CHECK(result.statistics.num_completions == 100);
}

TEST_CASE("scheduler: completions of one token take no pages", "[rollout]") {
  const std::vector<GenerateRequest> requests = testing::mixed_requests(6);
  const SamplingParams sampling{.max_new_tokens = 1};
  const Run result = run(requests, sampling, {.max_num_seqs = 64, .page_size = 32, .num_pages = 6});
  check_groups(requests, sampling, result.groups);
  CHECK(result.statistics.forward_passes == 1);
  CHECK(result.statistics.peak_pages == 6);
}

TEST_CASE("scheduler: no requests, no work", "[rollout]") {
  const Run result = run({}, {}, {.num_pages = 0});
  CHECK(result.groups.empty());
  CHECK(result.statistics.forward_passes == 0);
}

TEST_CASE("scheduler: refuses what cannot run", "[rollout]") {
  std::vector<GenerateRequest> requests = testing::mixed_requests(3);
  const SamplingParams sampling{.max_new_tokens = 9};
  const SchedulerConfig config{.page_size = 4, .num_pages = 100};
  CHECK_NOTHROW(Scheduler(requests, sampling, config));
  CHECK_THROWS_AS(Scheduler(requests, {.max_new_tokens = 0}, config), std::invalid_argument);
  CHECK_THROWS_AS(Scheduler(requests, sampling, {.max_num_seqs = 0, .num_pages = 100}),
                  std::invalid_argument);
  CHECK_THROWS_AS(Scheduler(requests, sampling, {.num_pages = 100, .prefill_chunk = -1}),
                  std::invalid_argument);
  requests[1].prompt.assign(9, 5);
  CHECK_THROWS_WITH(
      Scheduler(requests, sampling, {.page_size = 4, .num_pages = 4}),
      Catch::Contains("request 1 takes 3 pages for its prompt and 2 for a completion") &&
          Catch::Contains("the cache has 4"));
  requests[2].num_generations = 0;
  CHECK_THROWS_WITH(Scheduler(requests, sampling, config),
                    Catch::Contains("request 2 asks for 0 completions"));
  requests[0].prompt.clear();
  CHECK_THROWS_WITH(Scheduler(requests, sampling, config),
                    Catch::Contains("request 0 has an empty prompt"));
}

TEST_CASE("scheduler: takes one token for every draw", "[rollout]") {
  const std::vector<GenerateRequest> requests = testing::mixed_requests(1);
  Scheduler scheduler(requests, {.max_new_tokens = 4}, {.num_pages = 100});
  ForwardBatch batch;
  std::vector<Draw> draws;
  REQUIRE(scheduler.next(batch, draws));
  const std::vector<std::int32_t> tokens(draws.size() + 1, 5);
  const std::vector<float> logprobs(draws.size() + 1, -1.0F);
  CHECK_THROWS_AS(scheduler.accept(tokens, logprobs), std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
