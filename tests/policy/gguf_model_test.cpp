#include "policy/gguf_model.h"

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "policy/gguf.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tests/support/fixtures.h"
#include "tests/support/temporary_directory.h"
#include "tests/support/tiny_checkpoint.h"
#include "tests/support/tiny_configs.h"

namespace zeroth {
namespace {

ModelConfig tiny(const std::map<std::string, boost::json::value>& changes) {
  boost::json::object json =
      boost::json::parse(testing::sums_config(testing::kTinyQwen2)).as_object();
  for (const auto& [key, value] : changes) json[key] = value;
  return parse_model_config(boost::json::serialize(json), "tiny");
}

Weights random_weights(const ModelConfig& config) {
  Weights weights(config);
  initialize_weights(weights, config, 5);
  return weights;
}

GgufModel model_of(const ModelConfig& config, const Weights& weights,
                   GgufFileType type = GgufFileType::f32, const std::string& name = "") {
  return gguf_model(config, weights, testing::sums_tokenizer(),
                    {.type = type, .name = name, .source = "dir"});
}

const GgufSource& tensor(const GgufModel& model, const std::string& name) {
  for (const GgufSource& source : model.tensors) {
    if (source.name == name) return source;
  }
  throw std::invalid_argument("no tensor " + name);
}

const GgufValue* find(const GgufModel& model, const std::string& key) {
  for (const GgufEntry& entry : model.metadata) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

std::string refusal(const ModelConfig& config, const Weights& weights,
                    GgufFileType type = GgufFileType::f32) {
  try {
    model_of(config, weights, type);
  } catch (const InputError& error) {
    return error.what();
  }
  return "written";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

const boost::json::object kLlama3 = {{"rope_type", "llama3"},
                                     {"factor", 8.0},
                                     {"low_freq_factor", 1.0},
                                     {"high_freq_factor", 4.0},
                                     {"original_max_position_embeddings", 64}};

constexpr std::pair<const char*, GgufFileType> kTypeWords[] = {{"f32", GgufFileType::f32},
                                                               {"f16", GgufFileType::f16},
                                                               {"bf16", GgufFileType::bf16},
                                                               {"q8_0", GgufFileType::q8_0}};

/// Names, types and shapes; `reference` is {name: [type, shape as the file lists it]}.
void check_tensors(const GgufModel& model, const JsonReader& reference) {
  CHECK(model.tensors.size() == reference.keys().size());
  for (const GgufSource& source : model.tensors) {
    INFO(source.name);
    REQUIRE(reference.has(source.name));
    const auto entry = reference.child(source.name).elements();
    CHECK(entry[0].as_string() == gguf_type_name(source.type));
    std::vector<std::int64_t> shape;
    for (const JsonReader& size : entry[1].elements()) {
      shape.insert(shape.begin(), size.as_int64());
    }
    CHECK(shape == source.shape);
  }
}

GgufValue value_of(const JsonReader& entry) {
  const auto parts = entry.elements();
  const std::string type = parts[0].as_string();
  if (type == "UINT32") return static_cast<std::uint32_t>(parts[1].as_int64());
  if (type == "FLOAT32") return static_cast<float>(parts[1].as_double());
  if (type == "BOOL") return parts[1].as_bool();
  REQUIRE(type == "STRING");
  return parts[1].as_string();
}

/// All keys but the tokenizer's, which is another one; `reference` is {key: [type, value]}.
void check_keys(const GgufModel& model, const JsonReader& reference) {
  std::set<std::string> expected, actual;
  for (const std::string& key : reference.keys()) {
    if (!key.starts_with("tokenizer.")) expected.insert(key);
  }
  for (const GgufEntry& entry : model.metadata) {
    if (!entry.key.starts_with("tokenizer.")) actual.insert(entry.key);
  }
  CHECK(expected == actual);
  for (const std::string& key : expected) {
    INFO(key);
    const GgufValue* value = find(model, key);
    REQUIRE(value != nullptr);
    CHECK((*value == value_of(reference.child(key))));
  }
}

void check_numbers(const GgufModel& model, const GgufFile& converted) {
  for (const GgufSource& source : model.tensors) {
    INFO(source.name);
    const GgufTensor* stored = converted.content().find_tensor(source.name);
    REQUIRE(stored != nullptr);
    REQUIRE(stored->type == source.type);
    const std::vector<float> theirs = decode_gguf(*stored);
    const std::vector<std::byte> bytes = encode_gguf(source.values(), source.type);
    const std::vector<float> ours =
        decode_gguf({.name = "", .type = source.type, .shape = {}, .bytes = bytes});
    if (source.type != GgufType::q8_0) {
      CHECK((ours == theirs));
      continue;
    }
    REQUIRE(ours.size() == theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      // Scales are rounded otherwise: the steps of some numbers are one apart.
      float largest = 0.0F;
      for (std::size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j) {
        largest = std::max(largest, std::abs(theirs[j]));
      }
      REQUIRE(std::abs(ours[i] - theirs[i]) <= 1.1F * largest / 127.0F);
    }
  }
}

}  // namespace

TEST_CASE("gguf_model: names, shapes and numbers of a Qwen2", "[policy]") {
  const ModelConfig config = tiny({});
  const Weights weights = random_weights(config);
  const GgufModel model = model_of(config, weights);
  CHECK(*find(model, "general.architecture") == GgufValue(std::string("qwen2")));
  CHECK(*find(model, "qwen2.attention.head_count_kv") == GgufValue(std::uint32_t{2}));
  CHECK(*find(model, "qwen2.rope.freq_base") == GgufValue(10000.0F));
  CHECK(find(model, "qwen2.rope.scaling.type") == nullptr);
  CHECK(model.tensors.size() == 2 + 2 * 12);  // embeddings are tied
  CHECK(tensor(model, "blk.1.ffn_down.weight").shape == std::vector<std::int64_t>{16, 24});
  const auto values = weights["model.layers.0.self_attn.q_proj.weight"];
  CHECK(tensor(model, "blk.0.attn_q.weight").values() ==
        std::vector<float>(values.begin(), values.end()));
}

TEST_CASE("gguf_model: vectors stay f32, and so do rows that are no blocks stay out of q8_0",
          "[policy]") {
  const ModelConfig config = tiny({{"hidden_size", 32}, {"head_dim", 8}});
  const Weights weights = random_weights(config);
  const GgufModel model = model_of(config, weights, GgufFileType::q8_0);
  CHECK(tensor(model, "blk.0.attn_norm.weight").type == GgufType::f32);
  CHECK(tensor(model, "blk.0.attn_q.bias").type == GgufType::f32);
  CHECK(tensor(model, "token_embd.weight").type == GgufType::q8_0);
  CHECK(tensor(model, "blk.0.ffn_down.weight").type == GgufType::f16);  // rows of 24
  CHECK(tensor(model_of(config, weights, GgufFileType::bf16), "blk.0.ffn_down.weight").type ==
        GgufType::bf16);
}

TEST_CASE("gguf_model: rows of a Llama head are put in pairs, by hand", "[policy]") {
  // Two heads of width 4 over hidden width 2: row r of q is (r, r + 0.5).
  const ModelConfig config = tiny({{"model_type", "llama"},
                                   {"hidden_size", 2},
                                   {"num_attention_heads", 2},
                                   {"num_key_value_heads", 1},
                                   {"head_dim", 4},
                                   {"tie_word_embeddings", false}});
  Weights weights(config);
  const std::string layer = "model.layers.0.self_attn.";
  for (const char* name : {"q_proj.weight", "k_proj.weight", "v_proj.weight"}) {
    auto values = weights[layer + name];
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.5F * static_cast<float>(i);
  }
  const GgufModel model = model_of(config, weights);
  CHECK(tensor(model, "blk.0.attn_q.weight").values() ==
        std::vector<float>{0, .5, 2, 2.5, 1, 1.5, 3, 3.5, 4, 4.5, 6, 6.5, 5, 5.5, 7, 7.5});
  CHECK(tensor(model, "blk.0.attn_k.weight").values() ==
        std::vector<float>{0, .5, 2, 2.5, 1, 1.5, 3, 3.5});
  CHECK(tensor(model, "blk.0.attn_v.weight").values() ==
        std::vector<float>{0, .5, 1, 1.5, 2, 2.5, 3, 3.5});
  CHECK(tensor(model, "output.weight").shape == std::vector<std::int64_t>{21, 2});
}

TEST_CASE("gguf_model: scaled rotary frequencies", "[policy]") {
  const boost::json::object linear = {{"type", "linear"}, {"factor", 4.0}};
  const ModelConfig scaled = tiny({{"rope_scaling", linear}});
  const Weights weights = random_weights(scaled);
  const GgufModel model = model_of(scaled, weights);
  CHECK(*find(model, "qwen2.rope.scaling.type") == GgufValue(std::string("linear")));
  CHECK(*find(model, "qwen2.rope.scaling.factor") == GgufValue(4.0F));

  const ModelConfig llama = tiny({{"model_type", "llama"}, {"rope_scaling", kLlama3}});
  const Weights llama_weights = random_weights(llama);
  const GgufModel with_factors = model_of(llama, llama_weights);
  const std::vector<float> factors = tensor(with_factors, "rope_freqs.weight").values();
  // Pair 0 turns 64 / 2π = 10.2 times over the original context and is kept. Pair 1 (theta^-1/2 =
  // 0.01) turns 0.1 times, less than once, and is slowed eightfold.
  REQUIRE(factors.size() == 2);
  CHECK(factors[0] == Approx(1.0));
  CHECK(factors[1] == Approx(8.0));
}

TEST_CASE("gguf_model: yarn is keys, and its factor for cos and sin must be the one that follows",
          "[policy]") {
  boost::json::object yarn = {
      {"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  const ModelConfig config = tiny({{"rope_scaling", yarn}});
  const Weights weights = random_weights(config);
  const GgufModel model = model_of(config, weights);
  CHECK(*find(model, "qwen2.rope.scaling.type") == GgufValue(std::string("yarn")));
  CHECK(*find(model, "qwen2.rope.scaling.original_context_length") == GgufValue(std::uint32_t{64}));
  CHECK(find(model, "qwen2.rope.scaling.yarn_beta_fast") == nullptr);
  yarn["attention_factor"] = 1.0;
  CHECK(contains(refusal(tiny({{"rope_scaling", yarn}}), weights),
                 "rope_scaling: expected the attention_factor that follows from factor, got 1.0"));
}

TEST_CASE("gguf_model: experts are stacked and kv_b is taken apart, by hand", "[policy]") {
  const ModelConfig config =
      parse_model_config(testing::sums_config(testing::kTinyDeepseek), "tiny");
  Weights weights = random_weights(config);
  const std::string attention = "model.layers.1.self_attn.kv_b_proj.weight";
  auto kv_b = weights[attention];  // [2 (6 + 5), 8]: row r, column c
  for (std::size_t i = 0; i < kv_b.size(); ++i) kv_b[i] = static_cast<float>(i);
  const GgufModel model = model_of(config, weights);
  const GgufSource& keys = tensor(model, "blk.1.attn_k_b.weight");
  CHECK(keys.shape == std::vector<std::int64_t>{2, 8, 6});
  CHECK(keys.values()[0] == 0.0F);
  CHECK(keys.values()[1] == 8.0F);           // head 0, latent 0, row 1
  CHECK(keys.values()[6] == 1.0F);           // latent 1, row 0
  CHECK(keys.values()[8 * 6] == 8.0F * 11);  // head 1 begins behind the values of head 0
  const GgufSource& values = tensor(model, "blk.1.attn_v_b.weight");
  CHECK(values.shape == std::vector<std::int64_t>{2, 5, 8});
  CHECK(values.values()[0] == 8.0F * 6);
  CHECK(values.values()[5 * 8] == 8.0F * 17);

  const GgufSource& down = tensor(model, "blk.1.ffn_down_exps.weight");
  CHECK(down.shape == std::vector<std::int64_t>{8, 16, 12});
  const auto third = weights["model.layers.1.mlp.experts.3.down_proj.weight"];
  const std::vector<float> stacked = down.values();
  CHECK(std::equal(third.begin(), third.end(), stacked.begin() + 3 * 16 * 12));
  CHECK(tensor(model, "blk.1.exp_probs_b.bias").type == GgufType::f32);
  CHECK(tensor(model_of(config, weights, GgufFileType::f16), "blk.1.ffn_gate_inp.weight").type ==
        GgufType::f32);
  CHECK(*find(model, "deepseek2.attention.head_count_kv") == GgufValue(std::uint32_t{1}));
}

TEST_CASE("gguf_model: latent attention without experts has the keys that llama.cpp asks for",
          "[policy]") {
  boost::json::object json =
      boost::json::parse(testing::sums_config(testing::kTinyDeepseek)).as_object();
  json["first_k_dense_replace"] = 2;
  const ModelConfig config = parse_model_config(boost::json::serialize(json), "tiny");
  const Weights weights = random_weights(config);
  const GgufModel model = model_of(config, weights);
  CHECK(*find(model, "deepseek2.leading_dense_block_count") == GgufValue(std::uint32_t{2}));
  CHECK(find(model, "deepseek2.expert_count") == nullptr);
  CHECK(tensor(model, "blk.1.ffn_up.weight").shape == std::vector<std::int64_t>{24, 16});
}

TEST_CASE("gguf_model: what llama.cpp would not run as it is meant is refused", "[policy]") {
  const ModelConfig qwen = tiny({{"rope_scaling", kLlama3}});
  CHECK(contains(refusal(qwen, random_weights(qwen)), "got llama3 with qwen2"));
  const ModelConfig mixed =
      parse_model_config(testing::sums_config(testing::kTinyQwen3Moe), "tiny");
  CHECK(contains(refusal(mixed, random_weights(mixed)),
                 "dir/config.json: mlp_only_layers: expected experts in every layer"));
  boost::json::object json =
      boost::json::parse(testing::sums_config(testing::kTinyQwen3Moe)).as_object();
  json["mlp_only_layers"] = boost::json::array();
  json["norm_topk_prob"] = false;
  const ModelConfig plain = parse_model_config(boost::json::serialize(json), "tiny");
  CHECK(contains(refusal(plain, random_weights(plain)), "norm_topk_prob: expected true"));
  ModelConfig unknown = tiny({});
  unknown.model_type = "mamba";
  CHECK(contains(refusal(unknown, random_weights(unknown)),
                 "model_type: expected llama, qwen2, qwen3, qwen3_moe, glm4_moe"));
}

TEST_CASE("gguf_model: what llama.cpp computes differently is said", "[policy]") {
  const auto warnings = [](const char* json) {
    const ModelConfig config = parse_model_config(testing::sums_config(json), "tiny");
    return model_of(config, random_weights(config)).warnings;
  };
  REQUIRE(warnings(testing::kTinyDeepseekV2).size() == 1);
  CHECK(contains(warnings(testing::kTinyDeepseekV2)[0], "groups of experts"));
  CHECK(warnings(testing::kTinyDeepseek).empty());
  boost::json::object json =
      boost::json::parse(testing::sums_config(testing::kTinyDeepseek)).as_object();
  json["rms_norm_eps"] = 1e-5;
  CHECK(contains(warnings(boost::json::serialize(json).c_str())[0], "1e-06 here and of 1e-05"));
}

TEST_CASE("gguf_tensor_type: the mixes of llama.cpp", "[policy]") {
  const std::vector<std::int64_t> wide = {512, 512}, narrow = {512, 96}, odd = {512, 20};
  GgufMix mix{.type = GgufFileType::q4_k_m, .num_layers = 16};
  const auto type_of = [&](const std::string& name, const std::vector<std::int64_t>& shape) {
    return gguf_tensor_type(mix, name, shape);
  };
  CHECK(type_of("output.weight", wide) == GgufType::q6_k);
  CHECK(type_of("token_embd.weight", wide) == GgufType::q4_k);
  CHECK(type_of("blk.3.attn_q.weight", wide) == GgufType::q4_k);
  // Of 16 layers 0 and 1, 14 and 15, and every third from 4 on.
  std::set<int> more;
  for (int layer = 0; layer < 16; ++layer) {
    const std::string block = "blk." + std::to_string(layer);
    const GgufType type = type_of(block + ".ffn_down.weight", wide);
    CHECK(type == type_of(block + ".attn_v.weight", wide));
    CHECK(type == type_of(block + ".ffn_down_exps.weight", {8, 512, 512}));
    if (type == GgufType::q6_k) more.insert(layer);
  }
  CHECK(more == std::set<int>{0, 1, 4, 7, 10, 13, 14, 15});
  CHECK(type_of("blk.0.attn_norm.weight", {512}) == GgufType::f32);
  CHECK(type_of("blk.0.ffn_gate_inp.weight", wide) == GgufType::f32);
  CHECK(type_of("blk.3.attn_q.weight", narrow) == GgufType::q5_0);
  CHECK(type_of("output.weight", narrow) == GgufType::q8_0);
  CHECK(type_of("output.weight", odd) == GgufType::f16);
  mix.tied = true;
  CHECK(type_of("token_embd.weight", wide) == GgufType::q6_k);
  mix.num_experts = 8;
  CHECK(type_of("blk.3.attn_v.weight", wide) == GgufType::q8_0);
  mix = {.type = GgufFileType::q4_0, .num_layers = 16};
  CHECK(type_of("blk.0.ffn_down.weight", wide) == GgufType::q4_0);
  CHECK(type_of("output.weight", wide) == GgufType::q6_k);
  CHECK(type_of("blk.0.ffn_down.weight", odd) == GgufType::f16);
}

TEST_CASE("gguf_model: a weight that the type cannot hold is named", "[policy]") {
  const ModelConfig config = tiny({});
  Weights weights = random_weights(config);
  weights["model.layers.1.mlp.up_proj.weight"][7] = 70000.0F;
  CHECK(refusal(config, weights) == "written");
  CHECK(refusal(config, weights, GgufFileType::bf16) == "written");
  CHECK(contains(refusal(config, weights, GgufFileType::f16),
                 "dir: model.layers.1.mlp.up_proj.weight: expected numbers that F16 can hold"));
  CHECK(contains(refusal(config, weights, GgufFileType::q8_0), "up_proj"));
  weights["model.norm.weight"][0] = NAN;
  CHECK(contains(refusal(config, weights), "dir: model.norm.weight"));
}

TEST_CASE("gguf_model: keys, tensors and numbers are those of llama.cpp's own converter",
          "[policy]") {
  const auto references = testing::fixtures_in("gguf");
  if (references.empty()) {
    WARN("ZEROTH_FIXTURES is not set: skipped");
    return;
  }
  const std::filesystem::path folder = references[0].parent_path();
  const JsonReader all = JsonReader::read(folder / "reference_contents.json");
  int num_files = 0;
  for (const std::string& file : all.keys()) {
    INFO(file);
    ++num_files;
    const std::string name = file.substr(0, file.find('.'));
    const std::string word =
        file.substr(name.size() + 1, file.find('.', name.size() + 1) - name.size() - 1);
    const auto* type = std::find_if(std::begin(kTypeWords), std::end(kTypeWords),
                                    [&](const auto& entry) { return entry.first == word; });
    REQUIRE(type != std::end(kTypeWords));
    const auto directory = folder.parent_path() / "model_parity" / name;
    const ModelConfig config = read_model_config(directory / "config.json");
    const Weights weights = load_weights(directory, config);
    const GgufModel model = model_of(config, weights, type->second, name);
    check_tensors(model, all.child(file).child("tensors"));
    check_keys(model, all.child(file).child("kv"));
    if (std::filesystem::exists(folder / file)) check_numbers(model, GgufFile(folder / file));
  }
  CHECK(num_files >= 20);
}

}  // namespace zeroth
