// One numerics over the whole engine: 257 completions of one prompt, every arrangement in which a
// sampler or a learner may meet them, and the same bits each time.
//
// The model is wider than those of the other tests, so that products have several tiles and a tail,
// sums several blocks. What is compared: tokens, log-probs and experts of every completion, and the
// gradient. The kernels' tests hold the controls that show that such a comparison can fail
// (tests/kernels: k summed in two halves, a softmax merged from two halves, gradients of two halves
// added); here it is a whole model in which one linear layer sums k in two halves.

#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "rl/learner.h"
#include "rollout/group_record.h"
#include "rollout/local_engine.h"
#include "tests/support/kernel_context.h"

namespace zeroth {
namespace {

constexpr std::int64_t kCompletions = 257;
constexpr std::int64_t kPromptTokens = 37;

constexpr const char* kLatentExperts = R"({
  "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3",
  "vocab_size": 211, "hidden_size": 72, "intermediate_size": 100, "moe_intermediate_size": 40,
  "num_hidden_layers": 3, "first_k_dense_replace": 1, "num_attention_heads": 4, "num_key_value_heads": 4,
  "q_lora_rank": null, "kv_lora_rank": 33, "qk_nope_head_dim": 18, "qk_rope_head_dim": 10, "v_head_dim": 17,
  "n_routed_experts": 16, "n_shared_experts": 1, "num_experts_per_tok": 4, "n_group": 4, "topk_group": 2,
  "norm_topk_prob": true, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
  "hidden_act": "silu", "max_position_embeddings": 256, "rms_norm_eps": 1e-06, "tie_word_embeddings": false,
  "rope_theta": 10000.0, "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
  "initializer_range": 0.25
})";

constexpr const char* kDenseGroupedQueries = R"({
  "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2",
  "vocab_size": 211, "hidden_size": 72, "intermediate_size": 100, "num_hidden_layers": 2,
  "num_attention_heads": 6, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 256,
  "rms_norm_eps": 1e-06, "tie_word_embeddings": true, "rope_theta": 10000.0, "initializer_range": 0.25,
  "use_sliding_window": false, "bos_token_id": 1, "eos_token_id": 2
})";

// Queries and keys with biases and norms of which a part turns, and experts chosen by softmax in
// groups that their best stands for: GLM-4.5's attention with the router of DeepSeek-V2.
constexpr const char* kPartialRotation = R"({
  "architectures": ["Glm4MoeForCausalLM"], "model_type": "glm4_moe",
  "vocab_size": 211, "hidden_size": 72, "intermediate_size": 100, "moe_intermediate_size": 40,
  "num_hidden_layers": 2, "first_k_dense_replace": 1, "num_attention_heads": 6, "num_key_value_heads": 2,
  "head_dim": 20, "partial_rotary_factor": 0.5, "attention_bias": true, "use_qk_norm": true,
  "n_routed_experts": 16, "n_shared_experts": 1, "num_experts_per_tok": 4, "n_group": 4, "topk_group": 2,
  "norm_topk_prob": true, "routed_scaling_factor": 2.5, "hidden_act": "silu",
  "max_position_embeddings": 256, "rms_norm_eps": 1e-05, "tie_word_embeddings": false,
  "rope_theta": 10000.0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.25
})";

struct Kind {
  const char* name;
  const char* json;
  MlaPrefix mla_prefix;
  Dtype dtype;
};

const Kind kKinds[] = {
    {"latent experts, fp32", kLatentExperts, MlaPrefix::absorbed, Dtype::float32},
    {"latent experts, bf16", kLatentExperts, MlaPrefix::absorbed, Dtype::bfloat16},
    {"latent experts, expanded, fp32", kLatentExperts, MlaPrefix::expanded, Dtype::float32},
    {"latent experts, expanded, bf16", kLatentExperts, MlaPrefix::expanded, Dtype::bfloat16},
    {"dense, fp32", kDenseGroupedQueries, MlaPrefix::absorbed, Dtype::float32},
    {"dense, bf16", kDenseGroupedQueries, MlaPrefix::absorbed, Dtype::bfloat16},
    {"partial rotation, fp32", kPartialRotation, MlaPrefix::absorbed, Dtype::float32},
    {"partial rotation, bf16", kPartialRotation, MlaPrefix::absorbed, Dtype::bfloat16},
};

struct Model {
  explicit Model(const Kind& kind, std::int64_t num_stop_tokens = 1)
      : config(config_of(kind, num_stop_tokens)),
        weights(weights_of(config)),
        policy(config, weights, kind.dtype, true) {}
  static ModelConfig config_of(const Kind& kind, std::int64_t num_stop_tokens) {
    ModelConfig config = parse_model_config(kind.json, "test");
    for (LayerConfig& layer : config.layers) {
      if (kind.json != kPartialRotation || layer.ffn.kind != FfnKind::moe) continue;
      layer.ffn.scoring = RouterScoring::softmax;
      layer.ffn.group_score = GroupScore::best;
      layer.ffn.norm_topk_prob = false;
    }
    config.eos_token_ids.resize(static_cast<std::size_t>(num_stop_tokens));
    std::iota(config.eos_token_ids.begin(), config.eos_token_ids.end(), 2);
    set_mla_prefix(config, kind.mla_prefix, "test");
    return config;
  }
  static Weights weights_of(const ModelConfig& config) {
    Weights weights(config);
    initialize_weights(weights, config, 3);
    return weights;
  }
  ModelConfig config;
  Weights weights;
  PackedPolicy policy;
};

constexpr double kTemperature = 0.8;
const SamplingParams kSampling{.temperature = kTemperature, .max_new_tokens = 30, .seed = 5};

GenerateRequest request(std::uint32_t problem, std::int64_t prompt_tokens,
                        std::int64_t completions) {
  GenerateRequest r{.prompt = {}, .num_generations = completions, .step = 1, .problem = problem};
  for (std::int64_t t = 0; t < prompt_tokens; ++t)
    r.prompt.push_back(static_cast<std::int32_t>(3 + (t * 17 + problem * 5) % 200));
  return r;
}

std::string record(const Completion& completion) {
  std::string bytes;
  append_group_record(bytes, {.completions = {completion}, .prompt_experts = {}});
  return bytes;
}

std::vector<std::string> records(const Group& group) {
  std::vector<std::string> out;
  for (const Completion& completion : group.completions) out.push_back(record(completion));
  return out;
}

Group sample(const Model& model, const Context& context, const EngineConfig& config,
             std::int64_t completions) {
  EngineConfig recording = config;
  recording.record_experts = true;
  return LocalEngine(context, model.policy, recording)
      .generate(std::vector{request(9, kPromptTokens, completions)}, kSampling)[0];
}

// Whether the first completions of `group` are those of the reference, to the bit.
bool begins(const std::vector<std::string>& reference, const Group& group) {
  const std::vector<std::string> mine = records(group);
  return mine.size() <= reference.size() && std::equal(mine.begin(), mine.end(), reference.begin());
}

ChunkLoss some_loss() {
  return [](const ChunkOfCompletions& chunk) {
    LossOutputs out;
    for (std::size_t i = 0; i + 1 < chunk.offsets.size(); ++i) {
      out.sequence_sums.emplace_back();
      const auto sample = static_cast<double>(chunk.first) + static_cast<double>(i);
      for (std::int64_t t = chunk.offsets[i]; t < chunk.offsets[i + 1]; ++t)
        out.dlogprobs.push_back(static_cast<float>(0.01 * (sample - 100.0)));
    }
    return out;
  };
}

struct Learned {
  BatchForward forward;
  std::vector<float> gradients;
};

Learned learn(const Model& model, const Context& context, std::int64_t micro_batch_tokens,
              const std::vector<TrainingGroup>& groups) {
  Learner learner(context, model.policy,
                  {.temperature = kTemperature,
                   .micro_batch_tokens = micro_batch_tokens,
                   .record_experts = true});
  Learned out;
  out.gradients.assign(model.weights.values().size(), 0.0F);
  out.forward = learner.train(groups, some_loss(), out.gradients);
  return out;
}

TrainingGroup training_group(const Group& group) {
  TrainingGroup training{.prompt = request(9, kPromptTokens, 1).prompt, .completions = {}};
  for (const Completion& completion : group.completions)
    training.completions.push_back(completion.tokens);
  return training;
}

std::vector<float> logprobs_of(const Group& group) {
  std::vector<float> out;
  for (const Completion& c : group.completions)
    out.insert(out.end(), c.logprobs.begin(), c.logprobs.end());
  return out;
}

std::vector<std::uint16_t> experts_of(const Group& group) {
  std::vector<std::uint16_t> out;
  for (const Completion& c : group.completions)
    out.insert(out.end(), c.experts.begin(), c.experts.end());
  out.insert(out.end(), group.prompt_experts.begin(), group.prompt_experts.end());
  return out;
}

}  // namespace

TEST_CASE("one numerics: sampling 257 completions in any arrangement gives the same bits",
          "[rl][slow]") {
  for (const Kind& kind : kKinds) {
    const Model model(kind);
    const Context best = testing::best_context();
    const Group whole = sample(model, best, {.max_num_seqs = 257}, kCompletions);
    const std::vector<std::string> reference = records(whole);
    INFO(kind.name);
    for (const std::int64_t completions : {1, 2, 3, 7, 31, 64, 100}) {
      INFO("a group of " << completions);
      CHECK(begins(reference, sample(model, best, {.max_num_seqs = 257}, completions)));
    }
    for (const std::int64_t slots : {1, 3, 31, 100}) {
      INFO(slots << " at once");
      CHECK(begins(reference,
                   sample(model, best, {.max_num_seqs = slots}, slots == 1 ? 20 : kCompletions)));
    }
    for (const std::int64_t chunk : {1, 5, 7, 16, 37}) {
      INFO("prompt in chunks of " << chunk);
      CHECK(begins(reference, sample(model, best, {.prefill_chunk = chunk}, 64)));
    }
    for (const std::int64_t page : {1, 5, 64}) {
      INFO("pages of " << page);
      CHECK(begins(reference, sample(model, best, {.page_size = page}, 64)));
    }
    for (const Isa isa : supported_isas()) {
      for (const int threads : {1, 2, 16}) {
        INFO(isa_name(isa) << ", " << threads << " threads");
        const Context context{isa, &testing::pool_of(threads)};
        CHECK(begins(reference, sample(model, context, {}, isa == Isa::portable ? 20 : 100)));
      }
    }
  }
}

// The shortest completions of sixty prompts come before the group of 100: what they tell of the
// mean is too little for it, and its completions take the pages of each other.
std::vector<GenerateRequest> crowd(LocalEngine& engine) {
  std::vector<GenerateRequest> requests;
  for (std::uint32_t problem = 100; problem < 160; ++problem)
    requests.push_back(request(problem, 5, 1));
  const std::vector<Group> groups = engine.generate(requests, kSampling);
  std::vector<std::size_t> order(requests.size());
  std::iota(order.begin(), order.end(), 0);
  const auto length = [&](std::size_t i) { return groups[i].completions[0].tokens.size(); };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t x, std::size_t y) { return length(x) < length(y); });
  std::vector<GenerateRequest> chosen;
  for (std::size_t i = 0; i < 20; ++i) chosen.push_back(requests[order[i]]);
  chosen.push_back(request(9, kPromptTokens, 100));
  return chosen;
}

TEST_CASE("one numerics: completions that give way and are computed again have the same bits",
          "[rl][slow]") {
  for (const Kind& kind : kKinds) {
    const Model model(kind, 12);  // one token in 18 ends a completion
    const Context best = testing::best_context();
    LocalEngine ample(best, model.policy, {.record_experts = true});
    const std::vector<GenerateRequest> requests = crowd(ample);
    const std::vector<std::string> reference = records(ample.generate(requests, kSampling).back());
    for (const std::int64_t page : {1, 5}) {
      const PageCounts one = fewest_pages(requests, kSampling, page);
      std::int64_t recomputed = 0;
      for (const std::int64_t sequences : {1, 3, 8, 16}) {
        INFO(kind.name << ", a cache for " << sequences << ", pages of " << page);
        const PageCounts pages{.prompts = one.prompts, .completions = sequences * one.completions};
        LocalEngine tight(best, model.policy,
                          {.page_size = page,
                           .prefill_chunk = sequences == 3 ? 16 : 0,
                           .max_cache_bytes = bytes_of(pages, model.config, page),
                           .record_experts = true});
        CHECK(begins(reference, tight.generate(requests, kSampling).back()));
        recomputed += tight.statistics().recomputed_tokens;
      }
      CHECK(recomputed > 0);
    }
  }
}

TEST_CASE("one numerics: among other requests in any order a group's bits are the same",
          "[rl][slow]") {
  for (const Kind& kind : kKinds) {
    const Model model(kind);
    const std::vector<std::string> reference =
        records(sample(model, testing::best_context(), {}, 64));
    std::mt19937 random(1);
    for (int round = 0; round < 3; ++round) {
      std::vector<GenerateRequest> requests{request(9, kPromptTokens, 64)};
      for (std::uint32_t other = 0; other < 6; ++other)
        requests.push_back(request(other, 1 + 13 * other, 1 + 9 * other));
      std::shuffle(requests.begin(), requests.end(), random);
      LocalEngine engine(testing::best_context(), model.policy,
                         {.max_num_seqs = 40 + 50 * round, .record_experts = true});
      const std::vector<Group> groups = engine.generate(requests, kSampling);
      for (std::size_t i = 0; i < requests.size(); ++i) {
        if (requests[i].problem == 9) CHECK(begins(reference, groups[i]));
      }
    }
  }
}

TEST_CASE(
    "one numerics: the learner computes the sampler's bits, and one gradient, however it cuts",
    "[rl][slow]") {
  for (const Kind& kind : kKinds) {
    const Model model(kind);
    const Context best = testing::best_context();
    const Group group = sample(model, best, {.max_num_seqs = 100}, kCompletions);
    const std::vector<TrainingGroup> batch{training_group(group)};
    const std::vector<float> logprobs = logprobs_of(group);
    const Learned whole = learn(model, best, 100000, batch);
    INFO(kind.name);
    CHECK(whole.forward.logprobs == logprobs);
    CHECK(whole.forward.experts == experts_of(group));
    for (const std::int64_t micro_batch : {1, 200, 1024}) {
      INFO("micro-batches of " << micro_batch);
      const Learned cut = learn(model, best, micro_batch, batch);
      CHECK(cut.forward.logprobs == logprobs);
      CHECK(cut.forward.experts == whole.forward.experts);
      CHECK(cut.gradients == whole.gradients);
    }
    for (const Isa isa : supported_isas()) {
      if (isa == Isa::portable) continue;  // tests/rl/learner_test.cpp, at a smaller size
      for (const int threads : {1, 16}) {
        INFO(isa_name(isa) << ", " << threads << " threads");
        const Learned other = learn(model, {isa, &testing::pool_of(threads)}, 1024, batch);
        CHECK(other.forward.logprobs == logprobs);
        CHECK(other.gradients == whole.gradients);
      }
    }
  }
}

TEST_CASE("one numerics: control: a weight that differs in its last bit shows", "[rl][slow]") {
  for (const Kind& kind : kKinds) {
    const Model model(kind);
    const Group group = sample(model, testing::best_context(), {}, 64);
    Model other(kind);
    const std::string name = "model.layers.0.self_attn.o_proj.weight";
    for (float& w : other.weights[name]) {
      // The last bit that the type of the products keeps.
      w *= kind.dtype == Dtype::bfloat16 ? 1.0F + 0x1p-7F : 1.0F + 0x1p-23F;
    }
    other.policy.update();
    const Learned learned = learn(other, testing::best_context(), 1024, {training_group(group)});
    INFO(kind.name);
    CHECK(learned.forward.logprobs != logprobs_of(group));
  }
}

}  // namespace zeroth
