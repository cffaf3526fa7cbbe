#include "policy/gguf_model.h"

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
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
                   GgufType type = GgufType::f32) {
  return gguf_model(config, weights, testing::sums_tokenizer(), {.type = type, .source = "dir"});
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
                    GgufType type = GgufType::f32) {
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

constexpr std::pair<const char*, GgufType> kTypeWords[] = {{"f32", GgufType::f32},
                                                           {"f16", GgufType::f16},
                                                           {"bf16", GgufType::bf16},
                                                           {"q8_0", GgufType::q8_0}};

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

/// The architecture's keys; `reference` is {key: [type, value]}.
void check_keys(const GgufModel& model, const std::string& architecture,
                const JsonReader& reference) {
  for (const std::string& key : reference.keys()) {
    if (!key.starts_with(architecture)) continue;
    INFO(key);
    const GgufValue* value = find(model, key);
    REQUIRE(value != nullptr);
    const auto entry = reference.child(key).elements();
    const std::string type = entry[0].as_string();
    REQUIRE((type == "UINT32" || type == "FLOAT32"));
    CHECK(*value == (type == "UINT32" ? GgufValue(static_cast<std::uint32_t>(entry[1].as_int64()))
                                      : GgufValue(static_cast<float>(entry[1].as_double()))));
  }
}

void check_numbers(const GgufModel& model, const GgufFile& converted) {
  for (const GgufSource& source : model.tensors) {
    INFO(source.name);
    const GgufTensor* stored = converted.content().find_tensor(source.name);
    REQUIRE(stored != nullptr);
    CHECK(decode_gguf(*stored) == source.values());
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
  const GgufModel model = model_of(config, weights, GgufType::q8_0);
  CHECK(tensor(model, "blk.0.attn_norm.weight").type == GgufType::f32);
  CHECK(tensor(model, "blk.0.attn_q.bias").type == GgufType::f32);
  CHECK(tensor(model, "token_embd.weight").type == GgufType::q8_0);
  CHECK(tensor(model, "blk.0.ffn_down.weight").type == GgufType::f16);  // rows of 24
  CHECK(tensor(model_of(config, weights, GgufType::bf16), "blk.0.ffn_down.weight").type ==
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

TEST_CASE("gguf_model: what llama.cpp would not run as it is meant is refused", "[policy]") {
  const ModelConfig latent = parse_model_config(testing::sums_config(testing::kTinyDeepseek), "t");
  const std::string message = refusal(latent, random_weights(latent));
  CHECK(contains(message, "dir/config.json: model_type: expected qwen2, qwen3 or llama for GGUF"));
  CHECK(contains(message, "deepseek2"));
  CHECK(contains(message, "got deepseek_v3"));

  const boost::json::object yarn = {{"type", "yarn"}, {"factor", 4.0}};
  const ModelConfig stretched = tiny({{"rope_scaling", yarn}});
  CHECK(contains(refusal(stretched, random_weights(stretched)), "rope_scaling: expected none"));
  const ModelConfig qwen = tiny({{"rope_scaling", kLlama3}});
  CHECK(contains(refusal(qwen, random_weights(qwen)), "got llama3 with qwen2"));
}

TEST_CASE("gguf_model: a weight that the type cannot hold is named", "[policy]") {
  const ModelConfig config = tiny({});
  Weights weights = random_weights(config);
  weights["model.layers.1.mlp.up_proj.weight"][7] = 70000.0F;
  CHECK(refusal(config, weights) == "written");
  CHECK(refusal(config, weights, GgufType::bf16) == "written");
  CHECK(contains(refusal(config, weights, GgufType::f16),
                 "dir: model.layers.1.mlp.up_proj.weight: expected numbers that F16 can hold"));
  CHECK(contains(refusal(config, weights, GgufType::q8_0), "up_proj"));
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
  for (const std::string name :
       {"qwen2", "qwen2_tied", "qwen3", "qwen3_tied", "llama", "llama_tied"}) {
    const auto directory = folder.parent_path() / "model_parity" / name;
    const ModelConfig config = read_model_config(directory / "config.json");
    const Weights weights = load_weights(directory, config);
    for (const auto& [word, type] : kTypeWords) {
      const std::string file = name + "." + word + ".gguf";
      if (!all.has(file)) continue;
      INFO(file);
      ++num_files;
      const GgufModel model = model_of(config, weights, type);
      check_tensors(model, all.child(file).child("tensors"));
      check_keys(model, config.model_type, all.child(file).child("kv"));
      if (std::filesystem::exists(folder / file)) check_numbers(model, GgufFile(folder / file));
    }
  }
  CHECK(num_files >= 6);
}

}  // namespace zeroth
