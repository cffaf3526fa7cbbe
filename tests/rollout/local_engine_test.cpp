#include "rollout/local_engine.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "policy/head.h"
#include "system/error.h"
#include "tests/rollout/tiny_policy.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

const SamplingParams kSampling{.temperature = 0.9, .max_new_tokens = 24, .seed = 21, .stream = 2};

// Equality of bits: no tolerance, and NaN would not pass.
bool same(const Group& a, const Group& b) {
  if (a.prompt_experts != b.prompt_experts || a.completions.size() != b.completions.size())
    return false;
  for (std::size_t i = 0; i < a.completions.size(); ++i) {
    const Completion& x = a.completions[i];
    const Completion& y = b.completions[i];
    if (x.tokens != y.tokens || x.logprobs != y.logprobs || x.experts != y.experts) return false;
    if (x.stop_reason != y.stop_reason || x.policy_version != y.policy_version) return false;
    if (x.sampling_logprobs != y.sampling_logprobs) return false;
  }
  return true;
}

bool same(const std::vector<Group>& a, const std::vector<Group>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Group& x, const Group& y) { return same(x, y); });
}

EngineConfig recording(EngineConfig config = {}) {
  config.record_experts = true;
  return config;
}

std::vector<Group> generate(const testing::TinyPolicy& tiny,
                            const std::vector<GenerateRequest>& requests,
                            const EngineConfig& config, Isa isa = best_isa(), int threads = 2) {
  ThreadPool pool(threads);
  return LocalEngine({isa, &pool}, tiny.policy, config).generate(requests, kSampling);
}

using testing::kModels;
using testing::TestModel;

TEST_CASE("engine: the same bits for any slots, page size, chunk and cache size", "[rollout]") {
  for (const TestModel& test : kModels) {
    const testing::TinyPolicy tiny(test);
    const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
    const std::vector<Group> reference = generate(tiny, requests, recording());
    for (const std::int64_t slots : {1, 3, 64, 1024}) {
      for (const std::int64_t page_size : {1, 4, 16}) {
        for (const std::int64_t chunk : {1, 5, 0}) {
          INFO(slots << " slots, pages of " << page_size << ", chunks of " << chunk);
          CHECK(same(reference, generate(tiny, requests,
                                         recording({.max_num_seqs = slots,
                                                    .page_size = page_size,
                                                    .prefill_chunk = chunk}),
                                         best_isa(), 1)));
        }
      }
    }
    const std::int64_t few =
        24 * prompt_cache_bytes_per_token(tiny.config) + 36 * cache_bytes_per_token(tiny.config);
    CHECK(same(reference,
               generate(tiny, requests, recording({.page_size = 4, .max_cache_bytes = few}),
                        best_isa(), 1)));
  }
}

TEST_CASE("engine: the same bits for any threads and instruction set", "[rollout]") {
  for (const TestModel& test : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      const testing::TinyPolicy tiny(test, dtype);
      const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
      const std::vector<Group> reference = generate(tiny, requests, recording(), Isa::portable, 1);
      for (const Isa isa : supported_isas()) {
        for (const int threads : {1, 2, 5}) {
          INFO(isa_name(isa) << ", " << threads << " threads");
          CHECK(same(reference, generate(tiny, requests, recording(), isa, threads)));
        }
      }
    }
  }
}

TEST_CASE("engine: with truncation the same bits however it batches", "[rollout]") {
  SamplingParams truncated = kSampling;
  truncated.top_k = 9;
  truncated.top_p = 0.8;
  truncated.min_p = 0.05;
  for (const TestModel& test : kModels) {
    const testing::TinyPolicy tiny(test);
    const std::vector<GenerateRequest> requests = testing::mixed_requests(8);
    ThreadPool pool(2);
    const auto sampled = [&](EngineConfig config, Isa isa, const SamplingParams& sampling) {
      return LocalEngine({isa, &pool}, tiny.policy, recording(std::move(config)))
          .generate(requests, sampling);
    };
    const std::vector<Group> reference = sampled({}, best_isa(), truncated);
    CHECK(same(reference, sampled({.max_num_seqs = 1, .page_size = 1}, best_isa(), truncated)));
    CHECK(same(reference,
               sampled({.max_num_seqs = 3, .prefill_chunk = 5}, Isa::portable, truncated)));
    for (const Group& group : reference) {
      for (const Completion& completion : group.completions) {
        REQUIRE(completion.sampling_logprobs.size() == completion.tokens.size());
        for (std::size_t t = 0; t < completion.tokens.size(); ++t)
          CHECK(completion.sampling_logprobs[t] >= completion.logprobs[t]);
      }
    }
    // A control: without truncation the completions are others, and have one log-prob a token.
    const std::vector<Group> whole = sampled({}, best_isa(), kSampling);
    CHECK_FALSE(same(reference, whole));
    CHECK(whole[0].completions[0].sampling_logprobs.empty());
  }
}

TEST_CASE("engine: top_k of 1 samples what greedy decoding takes", "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyDeepseek);
  const std::vector<GenerateRequest> requests = testing::mixed_requests(6);
  ThreadPool pool(2);
  LocalEngine engine({best_isa(), &pool}, tiny.policy, {});
  SamplingParams first = kSampling, greedy = kSampling;
  first.top_k = 1;
  greedy.temperature = 0.0;
  const std::vector<Group> of_first = engine.generate(requests, first);
  const std::vector<Group> of_greedy = engine.generate(requests, greedy);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    for (std::size_t c = 0; c < of_first[i].completions.size(); ++c)
      CHECK(of_first[i].completions[c].tokens == of_greedy[i].completions[c].tokens);
  }
}

TEST_CASE("engine: on_tokens sees every completion grow to what is returned", "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);
  const std::vector<GenerateRequest> requests = testing::mixed_requests(5);
  std::vector<std::vector<std::vector<std::int32_t>>> seen(requests.size());
  std::size_t calls = 0, longer = 0;
  EngineConfig config{.max_num_seqs = 4};
  config.on_tokens = [&](std::span<const Group> groups) {
    ++calls;
    REQUIRE(groups.size() == requests.size());
    for (std::size_t i = 0; i < groups.size(); ++i) {
      seen[i].resize(groups[i].completions.size());
      for (std::size_t c = 0; c < seen[i].size(); ++c) {
        const std::vector<std::int32_t>& now = groups[i].completions[c].tokens;
        std::vector<std::int32_t>& before = seen[i][c];
        REQUIRE(now.size() >= before.size());
        REQUIRE(std::equal(before.begin(), before.end(), now.begin()));
        longer += now.size() - before.size();
        before = now;
      }
    }
  };
  const std::vector<Group> groups = generate(tiny, requests, config);
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (std::size_t c = 0; c < groups[i].completions.size(); ++c) {
      CHECK(seen[i][c] == groups[i].completions[c].tokens);
      tokens += seen[i][c].size();
    }
  }
  CHECK(longer == tokens);
  CHECK(calls > 24);  // one a pass, and a completion has up to 24 tokens
}

TEST_CASE("engine: the same bits for any order of requests and for each request alone",
          "[rollout]") {
  for (const TestModel& test : kModels) {
    const testing::TinyPolicy tiny(test);
    const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
    const EngineConfig config = recording({.max_num_seqs = 7});
    const std::vector<Group> reference = generate(tiny, requests, config);
    const std::vector<GenerateRequest> backwards(requests.rbegin(), requests.rend());
    std::vector<Group> groups = generate(tiny, backwards, config);
    std::reverse(groups.begin(), groups.end());
    CHECK(same(reference, groups));
    for (std::size_t i = 0; i < requests.size(); ++i) {
      CHECK(same(reference[i], generate(tiny, {requests[i]}, config)[0]));
    }
  }
}

TEST_CASE("engine: completions differ within a group and follow seed, step, problem and stream",
          "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);
  ThreadPool pool(2);
  LocalEngine engine({best_isa(), &pool}, tiny.policy, {});
  std::vector<GenerateRequest> requests = testing::mixed_requests(1);
  requests[0].num_generations = 4;
  const Group reference = engine.generate(requests, kSampling)[0];
  CHECK(reference.completions[0].tokens != reference.completions[1].tokens);
  SamplingParams other = kSampling;
  other.seed += 1;
  CHECK_FALSE(same(reference, engine.generate(requests, other)[0]));
  other = kSampling;
  other.stream += 1;
  CHECK_FALSE(same(reference, engine.generate(requests, other)[0]));
  requests[0].step += 1;
  CHECK_FALSE(same(reference, engine.generate(requests, kSampling)[0]));
  requests[0].step -= 1;
  requests[0].problem += 1;
  CHECK_FALSE(same(reference, engine.generate(requests, kSampling)[0]));
  requests[0].problem -= 1;
  CHECK(same(reference, engine.generate(requests, kSampling)[0]));
  // A longer group begins with the shorter one.
  requests[0].num_generations = 9;
  Group longer = engine.generate(requests, kSampling)[0];
  longer.completions.resize(4);
  CHECK(same(reference, longer));
}

// The engine's loop with a cache and a change of each pass of one's own.
using Change = std::function<void(ForwardBatch&, std::vector<Draw>&)>;
std::vector<Group> generate_by_hand(const testing::TinyPolicy& tiny,
                                    const std::vector<GenerateRequest>& requests,
                                    const SamplingParams& sampling, Cache& cache,
                                    const Change& change, SchedulerConfig config) {
  ThreadPool pool(1);
  const Context context{best_isa(), &pool};
  config.num_pages = cache.rows() / config.page_size;
  if (cache.prompt_rows() > 0) config.num_prompt_pages = cache.prompt_rows() / config.page_size;
  config.stop_tokens = tiny.config.eos_token_ids;
  Scheduler scheduler(requests, sampling, config);
  Sampler sampler(sampling.temperature);
  Activations activations(false);
  ForwardBatch batch;
  std::vector<Draw> draws;
  while (scheduler.next(batch, draws)) {
    change(batch, draws);
    decoder_forward(context, tiny.policy, batch, cache, activations);
    scheduler.record_experts(batch, activations.experts);
    std::vector<std::int32_t> tokens(draws.size());
    std::vector<float> logprobs(draws.size());
    sampler.sample(context, tiny.policy, activations.hidden.data(), draws, tokens, logprobs);
    scheduler.accept(tokens, logprobs);
  }
  std::vector<Group> groups = scheduler.take_groups();
  for (Group& group : groups) {
    for (Completion& completion : group.completions)
      completion.policy_version = tiny.policy.version();
  }
  return groups;
}

TEST_CASE("engine: nothing is read from the cache that was not written", "[rollout]") {
  for (const TestModel& test : kModels) {
    const testing::TinyPolicy tiny(test);
    const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
    Cache cache(tiny.config);
    cache.resize(4096, 4096);
    for (std::size_t layer = 0; layer < tiny.config.layers.size(); ++layer) {
      std::fill_n(cache.layer(layer), cache.rows() * cache.width(layer),
                  std::numeric_limits<float>::quiet_NaN());
      std::fill_n(cache.prompts(layer),
                  cache.prompt_rows() * prompt_cache_width(tiny.config.layers[layer].attention),
                  std::numeric_limits<float>::quiet_NaN());
    }
    const auto keep = [](ForwardBatch&, std::vector<Draw>&) {};
    CHECK(same(generate(tiny, requests, recording()),
               generate_by_hand(tiny, requests, kSampling, cache, keep, {.max_num_seqs = 9})));
  }
}

TEST_CASE("engine: random numbers taken in order of arrival would show the number of slots",
          "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyDeepseek);
  const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
  Cache cache(tiny.config);
  cache.resize(4096, 4096);
  const auto by_arrival = [&](std::int64_t max_num_seqs) {
    std::uint32_t count = 0;
    const auto renumber = [&](ForwardBatch&, std::vector<Draw>& draws) {
      for (Draw& draw : draws) draw.key = {.seed = kSampling.seed, .position = count++};
    };
    return generate_by_hand(tiny, requests, kSampling, cache, renumber,
                            {.max_num_seqs = max_num_seqs});
  };
  CHECK(same(by_arrival(64), by_arrival(64)));
  CHECK_FALSE(same(by_arrival(64), by_arrival(3)));
}

// The requests with the shortest completions of many, then those with the longest: the mean that
// the first tell is too little for the others, and these have to give way.
struct Crowd {
  explicit Crowd(const testing::TinyPolicy& tiny) : requests(testing::mixed_requests(40)) {
    for (GenerateRequest& request : requests) request.num_generations += 2;
    const std::vector<Group> groups = sample(tiny, {});
    const auto mean_length = [&](std::size_t i) {
      double tokens = 0.0;
      for (const Completion& c : groups[i].completions)
        tokens += static_cast<double>(c.tokens.size());
      return tokens / static_cast<double>(groups[i].completions.size());
    };
    std::vector<std::size_t> order(requests.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(),
              [&](std::size_t x, std::size_t y) { return mean_length(x) < mean_length(y); });
    order.erase(order.begin() + 4, order.end() - 4);
    std::vector<GenerateRequest> chosen;
    for (const std::size_t i : order) {
      chosen.push_back(requests[i]);
      reference.push_back(groups[i]);
    }
    requests = std::move(chosen);
  }
  std::vector<Group> sample(const testing::TinyPolicy& tiny, const EngineConfig& config) {
    ThreadPool pool(1);
    LocalEngine engine({best_isa(), &pool}, tiny.policy, recording(config));
    std::vector<Group> groups = engine.generate(requests, sampling);
    statistics = engine.statistics();
    return groups;
  }

  SamplingParams sampling{.temperature = 0.9, .max_new_tokens = 48, .seed = 21, .stream = 2};
  std::vector<GenerateRequest> requests;
  std::vector<Group> reference;
  GenerationStatistics statistics;  // of the last sample()
};

TEST_CASE("engine: completions that give way to others and are computed again have the same bits",
          "[rollout]") {
  for (const TestModel& test : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      const testing::TinyPolicy tiny(test, dtype);
      Crowd crowd(tiny);
      for (const std::int64_t page_size : {1, 3, 16}) {
        const std::int64_t fewest = bytes_of(
            fewest_pages(crowd.requests, crowd.sampling, page_size), tiny.config, page_size);
        const std::int64_t enough = bytes_of(
            enough_pages(crowd.requests, crowd.sampling, 1024, page_size), tiny.config, page_size);
        std::int64_t preemptions = 0;
        std::int64_t chunk = 5;
        for (const std::int64_t bytes :
             {fewest, 3 * fewest / 2, 2 * fewest, 3 * fewest, 5 * fewest, enough}) {
          INFO(test.json << dtype_name(dtype) << ", pages of " << page_size << ", " << bytes
                         << " bytes of " << enough);
          chunk = 5 - chunk;  // 0 and 5 in turn
          CHECK(same(crowd.reference, crowd.sample(tiny, {.page_size = page_size,
                                                          .prefill_chunk = chunk,
                                                          .max_cache_bytes = bytes})));
          preemptions += crowd.statistics.preemptions;
        }
        CHECK(crowd.statistics.recomputed_tokens == 0);  // with enough
        CHECK(preemptions > 0);
      }
    }
  }
}

TEST_CASE("engine: rows computed again at other positions, or of another token, would show",
          "[rollout]") {
  for (const TestModel& test : kModels) {
    const testing::TinyPolicy tiny(test);
    const Crowd crowd(tiny);
    Cache cache(tiny.config);
    cache.resize(180, 100);
    int recomputed = 0;
    // Calls `damage` with the first query of every completion that feeds more than its new token.
    const auto sampled_with = [&](const std::function<void(ForwardBatch&, std::size_t)>& damage) {
      recomputed = 0;
      const auto change = [&](ForwardBatch& batch, std::vector<Draw>&) {
        for (const AttentionGroup& group : batch.groups) {
          for (std::int64_t m = 0; group.prefix_length > 0 && m < group.num_members; ++m) {
            const AttentionMember& member =
                batch.members[static_cast<std::size_t>(group.first_member + m)];
            if (member.num_queries == 1) continue;
            ++recomputed;
            damage(batch, static_cast<std::size_t>(member.first_query));
          }
        }
      };
      return generate_by_hand(tiny, crowd.requests, crowd.sampling, cache, change,
                              {.page_size = 3});
    };
    CHECK(same(crowd.reference, sampled_with([](ForwardBatch&, std::size_t) {})));
    CHECK(recomputed > 0);
    CHECK_FALSE(same(crowd.reference, sampled_with([](ForwardBatch& batch, std::size_t first) {
                       ++batch.positions[first];
                     })));
    CHECK_FALSE(same(crowd.reference, sampled_with([](ForwardBatch& batch, std::size_t first) {
                       batch.tokens[first] = batch.tokens[first + 1] == 4 ? 5 : 4;
                     })));
    // The row is not written: what stood there before is read.
    CHECK_FALSE(same(crowd.reference, sampled_with([](ForwardBatch& batch, std::size_t first) {
                       batch.cache_rows[first] = batch.cache_rows[first + 1];
                     })));
  }
}

// What the learner computes for one completion: log-probs of its tokens, and the experts of the fed
// ones.
struct Recomputed {
  std::vector<float> logprobs;
  std::vector<std::uint16_t> experts;  // prompt and completion
};

// One sequence in a pass of its own: the prompt as the group's prefix and the completion as its
// member, or all in one member.
Recomputed recompute(const testing::TinyPolicy& tiny, const std::vector<std::int32_t>& prompt,
                     const Completion& completion, bool shared_prefix) {
  ThreadPool pool(1);
  const Context context{best_isa(), &pool};
  const auto P = static_cast<std::int64_t>(prompt.size());
  const auto C = static_cast<std::int64_t>(completion.tokens.size());
  ForwardBatch batch;
  batch.tokens = prompt;
  batch.tokens.insert(batch.tokens.end(), completion.tokens.begin(), completion.tokens.end() - 1);
  for (std::int64_t i = 0; i < P + C - 1; ++i) {
    batch.positions.push_back(static_cast<std::int32_t>(i));
    batch.cache_rows.push_back(i);
  }
  if (shared_prefix) {
    batch.runs = {{.row = 0, .count = P}, {.row = P, .count = C - 1}};
    batch.groups = {
        {.first_member = 0, .num_members = 1},
        {.first_run = 0, .num_runs = 1, .prefix_length = P, .first_member = 1, .num_members = 1}};
    batch.members = {{.first_query = 0, .num_queries = P, .first_run = 0, .num_runs = 1},
                     {.first_query = P, .num_queries = C - 1, .first_run = 1, .num_runs = 1}};
  } else {
    batch.runs = {{.row = 0, .count = P + C - 1}};
    batch.groups = {{.first_member = 0, .num_members = 1}};
    batch.members = {{.first_query = 0, .num_queries = P + C - 1, .first_run = 0, .num_runs = 1}};
  }
  Cache cache(tiny.config);
  cache.resize(batch.size(), batch.size());
  Activations activations(true);
  decoder_forward(context, tiny.policy, batch, cache, activations);
  HeadTargets targets;
  targets.targets = completion.tokens;
  for (std::int64_t i = 0; i < C; ++i) targets.rows.push_back(P - 1 + i);
  targets.target_offsets.resize(static_cast<std::size_t>(C) + 1);
  std::iota(targets.target_offsets.begin(), targets.target_offsets.end(), 0);
  Recomputed result;
  result.logprobs.resize(static_cast<std::size_t>(C));
  HeadBuffers buffers;
  head_forward(context, tiny.policy, activations.hidden.data(), targets, kSampling.temperature,
               buffers, result.logprobs, {});
  for (std::int64_t t = 0; t < batch.size(); ++t) {
    for (const std::vector<std::int32_t>& layer : activations.experts) {
      const std::int64_t K = static_cast<std::int64_t>(layer.size()) / batch.size();
      for (std::int64_t k = t * K; k < (t + 1) * K; ++k) {
        result.experts.push_back(static_cast<std::uint16_t>(layer[static_cast<std::size_t>(k)]));
      }
    }
  }
  return result;
}

TEST_CASE("engine: log-probs and experts are those of the learner's pass over one sequence",
          "[rollout]") {
  for (const TestModel& test : kModels) {
    for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
      const testing::TinyPolicy tiny(test, dtype);
      const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
      const std::vector<Group> groups =
          generate(tiny, requests, recording({.max_num_seqs = 9, .page_size = 4}));
      for (std::size_t i = 0; i < requests.size(); ++i) {
        for (const Completion& completion : groups[i].completions) {
          std::vector<std::uint16_t> experts = groups[i].prompt_experts;
          experts.insert(experts.end(), completion.experts.begin(), completion.experts.end());
          for (const bool shared_prefix : {true, false}) {
            // Expanded, what stands in the prompt's member would be part of the prompt.
            if (!shared_prefix && test.mla_prefix == MlaPrefix::expanded) continue;
            const Recomputed learner =
                recompute(tiny, requests[i].prompt, completion, shared_prefix);
            REQUIRE(learner.logprobs == completion.logprobs);
            REQUIRE(learner.experts == experts);
          }
          REQUIRE(completion.policy_version == tiny.policy.version());
        }
      }
    }
  }
}

TEST_CASE("engine: an expanded prefix has other log-probs in bf16, and close ones in fp32",
          "[rollout]") {
  const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
  for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
    const testing::TinyPolicy absorbed({testing::kTinyDeepseek, MlaPrefix::absorbed}, dtype);
    const testing::TinyPolicy expanded({testing::kTinyDeepseek, MlaPrefix::expanded}, dtype);
    const std::vector<Group> groups = generate(absorbed, requests, {});
    float largest = 0.0F;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      for (const Completion& completion : groups[i].completions) {
        const Recomputed a = recompute(absorbed, requests[i].prompt, completion, true);
        const Recomputed b = recompute(expanded, requests[i].prompt, completion, true);
        if (dtype == Dtype::float32) CHECK(a.experts == b.experts);
        for (std::size_t t = 0; t < a.logprobs.size(); ++t)
          largest = std::max(largest, std::abs(a.logprobs[t] - b.logprobs[t]));
      }
    }
    CHECK(largest > 0.0F);
    if (dtype == Dtype::float32) CHECK(largest < 2e-5F);
    if (dtype == Dtype::bfloat16) CHECK(largest > 1e-3F);
  }
}

TEST_CASE("engine: an expanded prefix whose completions count as prompt has other bits in bf16",
          "[rollout]") {
  const testing::TinyPolicy tiny({testing::kTinyDeepseek, MlaPrefix::expanded}, Dtype::bfloat16);
  const std::vector<GenerateRequest> requests = testing::mixed_requests(4);
  const std::vector<Group> groups = generate(tiny, requests, {});
  bool differs = false;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    for (const Completion& completion : groups[i].completions) {
      differs = differs || recompute(tiny, requests[i].prompt, completion, false).logprobs !=
                               completion.logprobs;
    }
  }
  CHECK(differs);
}

TEST_CASE("engine: calls of unlike shapes stay within max_cache_bytes together", "[rollout]") {
  const testing::TinyPolicy tiny({testing::kTinyDeepseek, MlaPrefix::expanded});
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  const std::vector<GenerateRequest> long_prompts(
      8, {.prompt = std::vector<std::int32_t>(18, 5), .num_generations = 1});
  const std::vector<GenerateRequest> short_prompts(8, {.prompt = {5}, .num_generations = 4});
  const SamplingParams one_token{.max_new_tokens = 1};
  const SamplingParams many_tokens{.max_new_tokens = 24};
  const std::int64_t bytes = 40 * 4 * prompt_cache_bytes_per_token(tiny.config);
  LocalEngine engine(context, tiny.policy, recording({.page_size = 4, .max_cache_bytes = bytes}));
  std::int64_t largest = 0;
  for (int round = 0; round < 2; ++round) {
    for (const bool prompts_are_long : {true, false}) {
      const auto& requests = prompts_are_long ? long_prompts : short_prompts;
      const SamplingParams& sampling = prompts_are_long ? one_token : many_tokens;
      const std::vector<Group> groups = engine.generate(requests, sampling);
      CHECK(engine.cache_bytes() <= bytes);
      largest = std::max(largest, engine.cache_bytes());
      LocalEngine alone(context, tiny.policy, recording({.page_size = 4}));
      CHECK(same(groups, alone.generate(requests, sampling)));
    }
  }
  CHECK(largest > bytes / 2);
}

TEST_CASE("engine: expanded prompts and completions stay within max_cache_bytes", "[rollout]") {
  const testing::TinyPolicy tiny({testing::kTinyDeepseek, MlaPrefix::expanded});
  const std::vector<GenerateRequest> requests = testing::mixed_requests(12);
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  const std::int64_t page = 4 * cache_bytes_per_token(tiny.config);
  const std::int64_t prompt_page = 4 * prompt_cache_bytes_per_token(tiny.config);
  CHECK(prompt_page == 4 * 2 * (2 * (6 + 4 + 5)) * 4);
  // The longest prompt has 18 tokens; a completion takes at most 23 rows.
  const std::int64_t fewest = 5 * prompt_page + 6 * page;
  const std::vector<Group> reference = generate(tiny, requests, recording());
  for (const std::int64_t bytes : {fewest, fewest + 1, 2 * fewest, 5 * fewest, 100 * fewest}) {
    LocalEngine engine(context, tiny.policy, recording({.page_size = 4, .max_cache_bytes = bytes}));
    CHECK(same(engine.generate(requests, kSampling), reference));
    CHECK(engine.cache_bytes() <= bytes);
  }
  LocalEngine cramped(context, tiny.policy, {.page_size = 4, .max_cache_bytes = fewest - 1});
  try {
    cramped.generate(requests, kSampling);
    FAIL("not refused");
  } catch (const InputError& error) {
    CHECK(error.parts().field == "max_cache_bytes");
    CHECK(error.parts().expected == "at least " + std::to_string(fewest) +
                                        ", for a prompt of 18 tokens and a completion of 24");
    CHECK(error.parts().actual == std::to_string(fewest - 1));
  }
}

TEST_CASE("engine: completions end at any end-of-sequence token or at the limit", "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);  // eos_token_id: [2, 3]
  std::vector<GenerateRequest> requests = testing::mixed_requests(20);
  for (GenerateRequest& request : requests) request.num_generations = 10;
  const std::vector<Group> groups = generate(tiny, requests, {});
  std::int64_t ended_by[4] = {0, 0, 0, 0};
  std::int64_t cut = 0;
  for (const Group& group : groups) {
    CHECK(group.prompt_experts.empty());
    for (const Completion& completion : group.completions) {
      CHECK(completion.experts.empty());
      const auto& tokens = completion.tokens;
      const auto end = std::find_if(tokens.begin(), tokens.end(),
                                    [](std::int32_t t) { return t == 2 || t == 3; });
      if (completion.stop_reason == StopReason::end_of_sequence) {
        REQUIRE(end == tokens.end() - 1);
        ++ended_by[tokens.back()];
      } else {
        REQUIRE(end == tokens.end());
        REQUIRE(static_cast<std::int64_t>(tokens.size()) == kSampling.max_new_tokens);
        ++cut;
      }
    }
  }
  CHECK(ended_by[2] > 0);
  CHECK(ended_by[3] > 0);
  CHECK(cut > 0);
}

TEST_CASE("engine: temperature 0 gives one completion to every seed", "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyDeepseek);
  ThreadPool pool(2);
  LocalEngine engine({best_isa(), &pool}, tiny.policy, {});
  const std::vector<GenerateRequest> requests = testing::mixed_requests(5);
  const auto greedy = [&](std::uint64_t seed) {
    return engine.generate(requests, {.temperature = 0.0, .max_new_tokens = 8, .seed = seed});
  };
  const std::vector<Group> groups = greedy(1);
  CHECK(same(groups, greedy(2)));
  for (const Group& group : groups) {
    for (const Completion& completion : group.completions) {
      CHECK(completion.tokens == group.completions[0].tokens);
      for (const float logprob : completion.logprobs) CHECK(logprob >= -std::log(40.0F));
    }
  }
}

TEST_CASE("engine: statistics count tokens, passes and pages, and progress reports them",
          "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);
  ThreadPool pool(2);
  std::vector<GenerationStatistics> reports;
  EngineConfig config{.max_num_seqs = 5, .page_size = 4};
  config.on_progress = [&](const GenerationStatistics& statistics) {
    reports.push_back(statistics);
  };
  LocalEngine engine({best_isa(), &pool}, tiny.policy, config);
  const std::vector<GenerateRequest> requests = testing::mixed_requests(8);
  std::int64_t prompt_tokens = 0;
  std::int64_t completions = 0;
  for (const GenerateRequest& request : requests) {
    prompt_tokens += static_cast<std::int64_t>(request.prompt.size());
    completions += request.num_generations;
  }
  std::int64_t sampled = 0;
  for (const Group& group : engine.generate(requests, kSampling)) {
    for (const Completion& completion : group.completions) {
      sampled += static_cast<std::int64_t>(completion.tokens.size());
    }
  }
  const GenerationStatistics& statistics = engine.statistics();
  CHECK(statistics.prompt_tokens == prompt_tokens);
  CHECK(statistics.sampled_tokens == sampled);
  CHECK(statistics.num_completions == completions);
  CHECK(statistics.finished_completions == completions);
  CHECK(statistics.forward_passes == static_cast<std::int64_t>(reports.size()));
  CHECK(statistics.peak_pages > 0);
  CHECK(statistics.peak_pages * 4 * cache_bytes_per_token(tiny.config) <= engine.cache_bytes());
  for (std::size_t i = 1; i < reports.size(); ++i) {
    CHECK(reports[i].sampled_tokens >= reports[i - 1].sampled_tokens);
    CHECK(reports[i].finished_completions >= reports[i - 1].finished_completions);
  }
}

TEST_CASE("engine: a call given up by the progress report leaves the engine usable", "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyDeepseek);
  ThreadPool pool(2);
  bool stop = true;
  EngineConfig config = recording();
  config.on_progress = [&](const GenerationStatistics& statistics) {
    if (stop && statistics.forward_passes == 3) throw std::runtime_error("stop");
  };
  LocalEngine engine({best_isa(), &pool}, tiny.policy, config);
  const std::vector<GenerateRequest> requests = testing::mixed_requests(8);
  CHECK_THROWS_AS(engine.generate(requests, kSampling), std::runtime_error);
  CHECK(engine.statistics().forward_passes == 3);
  stop = false;
  CHECK(same(generate(tiny, requests, recording()), engine.generate(requests, kSampling)));
}

TEST_CASE("engine: refuses requests beyond the model's positions, its cache and its vocabulary",
          "[rollout]") {
  const testing::TinyPolicy tiny(testing::kTinyQwen2);  // 128 positions
  ThreadPool pool(1);
  const Context context{best_isa(), &pool};
  LocalEngine engine(context, tiny.policy, {});
  std::vector<GenerateRequest> requests = testing::mixed_requests(2);
  requests[1].prompt.assign(120, 5);
  CHECK_NOTHROW(engine.generate(requests, {.max_new_tokens = 8}));
  CHECK_THROWS_WITH(engine.generate(requests, {.max_new_tokens = 9}),
                    Catch::Contains("request 1") && Catch::Contains("120") &&
                        Catch::Contains("9 more") && Catch::Contains("128"));
  const std::int64_t small = 100 * cache_bytes_per_token(tiny.config);
  LocalEngine cramped(context, tiny.policy, {.max_cache_bytes = small});
  CHECK_THROWS_AS(cramped.generate(requests, {.max_new_tokens = 8}), InputError);
  requests[1].prompt = {40};
  CHECK_THROWS_AS(engine.generate(requests, {.max_new_tokens = 8}), std::invalid_argument);
  CHECK_THROWS_AS(LocalEngine(context, tiny.policy, {.max_num_seqs = 0}), std::invalid_argument);
  CHECK_THROWS_AS(LocalEngine(context, tiny.policy, {.page_size = 0}), std::invalid_argument);
  CHECK_THROWS_AS(LocalEngine(context, tiny.policy, {.prefill_chunk = -1}), std::invalid_argument);
  CHECK_THROWS_AS(LocalEngine(context, tiny.policy, {.max_cache_bytes = -1}),
                  std::invalid_argument);
}

}  // namespace
}  // namespace zeroth
