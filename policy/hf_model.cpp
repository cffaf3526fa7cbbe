#include "policy/hf_model.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/families/families.h"
#include "policy/gguf.h"
#include "policy/tokenizer.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// Copied where the model has them.
constexpr std::array<const char*, 10> kSideFiles = {"tokenizer.json",
                                                    "tokenizer_config.json",
                                                    "generation_config.json",
                                                    "special_tokens_map.json",
                                                    "added_tokens.json",
                                                    "chat_template.jinja",
                                                    "chat_template.json",
                                                    "vocab.json",
                                                    "merges.txt",
                                                    "tokenizer.model"};

std::string generation_config(const ModelConfig& config) {
  json::object object;
  object["_from_model_config"] = true;
  if (config.bos_token_id >= 0) object["bos_token_id"] = config.bos_token_id;
  if (config.eos_token_ids.size() == 1) {
    object["eos_token_id"] = config.eos_token_ids.front();
  } else if (!config.eos_token_ids.empty()) {
    object["eos_token_id"] = json::array(config.eos_token_ids.begin(), config.eos_token_ids.end());
  }
  return write_json(object, JsonLayout::indented) + "\n";
}

/// Without one, transformers would guess a tokenizer class from config.json, which may split text
/// in its own way.
std::string tokenizer_config(const ModelConfig& config, const Tokenizer& tokenizer) {
  json::object object = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                         {"add_bos_token", false},
                         {"add_eos_token", false},
                         {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, std::int64_t id) {
    if (id < 0 || id >= tokenizer.vocab_size()) return;
    object[key] = tokenizer.tokens()[static_cast<std::size_t>(id)].spelling;
  };
  name("bos_token", config.bos_token_id);
  if (!config.eos_token_ids.empty()) name("eos_token", config.eos_token_ids[0]);
  return write_json(object, JsonLayout::indented) + "\n";
}

std::string class_of(const std::string& model_type) {
  const ModelFamily* family = find_model_family(model_type);
  if (family == nullptr) throw std::invalid_argument("hf_model: no class for " + model_type);
  return std::string(family->architecture);
}

std::string config_json(const ModelConfig& config, TensorType type) {
  json::object object = JsonReader::parse(config.hf_json, "config.json").value().as_object();
  const char* name = type == TensorType::f32    ? "float32"
                     : type == TensorType::bf16 ? "bfloat16"
                                                : "float16";
  // transformers 5 writes "dtype" and reads both; everything else reads "torch_dtype".
  if (object.contains("dtype")) object["dtype"] = name;
  object["torch_dtype"] = name;
  if (!object.contains("architectures")) {
    object["architectures"] = json::array{class_of(config.model_type)};
  }
  return write_json(object, JsonLayout::indented) + "\n";
}

std::int64_t bytes_of(const TensorFloats& tensor) {
  return static_cast<std::int64_t>(tensor.values.size()) * tensor_type_bytes(tensor.type);
}

using Shard = std::vector<TensorFloats>;

std::vector<Shard> shards_of(const Weights& weights, const HfModelOptions& options) {
  std::vector<Shard> shards(1);
  std::int64_t bytes = 0;  // of the last shard
  for (TensorFloats& tensor : saved_tensors(weights, options.type)) {
    if (!shards.back().empty() && bytes + bytes_of(tensor) > options.max_shard_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    bytes += bytes_of(tensor);
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

void check_values(const TensorFloats& tensor, const fs::path& from) {
  const float most = tensor.type == TensorType::f16 ? kMaxF16 : kMaxBf16;
  const auto holds = [most](float value) { return std::abs(value) <= most; };
  bool all = true;  // a loop without a branch, since nearly always it holds all
  for (const float value : tensor.values) all &= holds(value);
  if (all) return;
  const auto wrong = std::find_if_not(tensor.values.begin(), tensor.values.end(), holds);
  throw InputError({.source = from.string(),
                    .field = tensor.name,
                    .expected = "numbers that " + std::string(tensor_type_name(tensor.type)) +
                                " can hold, up to " + std::to_string(most),
                    .actual = std::to_string(*wrong)});
}

std::string shard_name(std::size_t index, std::size_t count) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return text.data();
}

void write_weights(const fs::path& directory, std::vector<Shard> shards) {
  if (shards.size() == 1)
    return write_safetensors(directory / "model.safetensors", std::move(shards[0]));
  json::object map;
  std::int64_t total = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const std::string name = shard_name(i, shards.size());
    for (const TensorFloats& tensor : shards[i]) {
      map[tensor.name] = name;
      total += bytes_of(tensor);
    }
    write_safetensors(directory / name, std::move(shards[i]));
  }
  const json::object index = {{"metadata", {{"total_size", total}}},
                              {"weight_map", std::move(map)}};
  write_file_atomically(directory / "model.safetensors.index.json",
                        write_json(index, JsonLayout::indented) + "\n");
}

// A chat model's templates beside the first: additional_chat_templates/NAME.jinja.
void copy_more_templates(const fs::path& directory, const fs::path& from) {
  constexpr const char* kFolder = "additional_chat_templates";
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(from / kFolder, error)) {
    if (entry.path().extension() != ".jinja") continue;
    fs::create_directory(directory / kFolder);
    write_file_atomically(directory / kFolder / entry.path().filename(), read_file(entry.path()));
  }
}

}  // namespace

void write_side_files(const fs::path& directory, const ModelConfig& config, const fs::path& from) {
  for (const char* name : kSideFiles) {
    const fs::path source = from / name;
    if (!fs::exists(source)) continue;
    write_file_atomically(directory / name, read_file(source));
  }
  if (!fs::exists(directory / "generation_config.json")) {
    write_file_atomically(directory / "generation_config.json", generation_config(config));
  }
  copy_more_templates(directory, from);
}

void write_hf_model(const fs::path& directory, const ModelConfig& config, const Weights& weights,
                    const fs::path& from, const HfModelOptions& options) {
  std::vector<Shard> shards = shards_of(weights, options);
  for (const Shard& shard : shards) {
    for (const TensorFloats& tensor : shard) check_values(tensor, from);
  }
  write_file_atomically(directory / "config.json", config_json(config, options.type));
  write_side_files(directory, config, from);
  if (fs::exists(from / "tokenizer.json") && !fs::exists(directory / "tokenizer_config.json")) {
    write_file_atomically(directory / "tokenizer_config.json",
                          tokenizer_config(config, Tokenizer::load(from)));
  }
  write_weights(directory, std::move(shards));
}

}  // namespace zeroth
