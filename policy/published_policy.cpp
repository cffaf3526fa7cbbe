#include "policy/published_policy.h"

#include <algorithm>
#include <boost/json.hpp>
#include <string>
#include <utility>

#include "policy/cache.h"
#include "policy/families/common.h"
#include "policy/safetensors.h"
#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

constexpr const char* kConfigKey = "config.json";
constexpr const char* kDtypeKey = "dtype";
constexpr const char* kMlaPrefixKey = "mla_prefix";
constexpr const char* kEndsKey = "eos_token_ids";  // beside those of config.json

const char* mla_prefix_of(const ModelConfig& config) {
  return expands_prompts(config) ? "expanded" : "absorbed";
}

// As add_end_tokens reads them.
std::string ends_of(const ModelConfig& config) {
  const auto& ids = config.eos_token_ids;
  return write_json(
      boost::json::object{{"eos_token_id", boost::json::array(ids.begin(), ids.end())}});
}

// Bytes of the largest table of cosines and sines, of which the file's own size says nothing.
constexpr std::int64_t kMaxRopeBytes = std::int64_t{1} << 30;

void check_rope_tables(const ModelConfig& config, const std::string& source) {
  for (const LayerConfig& layer : config.layers) {
    const auto width = static_cast<std::int64_t>(layer.attention.rope.inv_freq.size());
    const std::int64_t most = kMaxRopeBytes / std::max<std::int64_t>(1, 2 * 4 * width);
    if (config.max_position_embeddings <= most) continue;
    throw InputError({.source = source + ": config.json",
                      .field = "max_position_embeddings",
                      .expected = "at most " + std::to_string(most),
                      .actual = std::to_string(config.max_position_embeddings)});
  }
}

std::filesystem::path file_in(const std::filesystem::path& directory) {
  return directory / "model.safetensors";
}

const std::string& metadata(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found != file.metadata().end()) return found->second;
  throw InputError({.source = file.source(),
                    .field = std::string("__metadata__.") + key,
                    .expected = "a text, as a learner publishes it",
                    .actual = "nothing"});
}

}  // namespace

void publish(const PackedPolicy& policy, const std::filesystem::path& directory) {
  write_safetensors(file_in(directory), tensor_bytes(policy.weights()),
                    {{kConfigKey, policy.config().hf_json},
                     {kDtypeKey, std::string(dtype_name(policy.dtype()))},
                     {kMlaPrefixKey, mla_prefix_of(policy.config())},
                     {kEndsKey, ends_of(policy.config())}});
}

PublishedPolicy::Description PublishedPolicy::describe(const std::filesystem::path& directory) {
  const SafetensorsFile file(file_in(directory));
  const auto is = [&](const char* key, const char* one, const char* other) {
    const std::string& text = metadata(file, key);
    if (text == one || text == other) return text == one;
    throw InputError({.source = file.source(),
                      .field = std::string("__metadata__.") + key,
                      .expected = std::string(one) + " or " + other,
                      .actual = text});
  };
  const Dtype dtype = is(kDtypeKey, "bfloat16", "float32") ? Dtype::bfloat16 : Dtype::float32;
  ModelConfig config =
      parse_model_config(metadata(file, kConfigKey), file.source() + ": config.json");
  add_end_tokens(
      JsonReader::parse(metadata(file, kEndsKey), file.source() + ": __metadata__." + kEndsKey),
      config);
  check_rope_tables(config, file.source());
  set_mla_prefix(
      config, is(kMlaPrefixKey, "expanded", "absorbed") ? MlaPrefix::expanded : MlaPrefix::absorbed,
      file.source());
  return {std::move(config), dtype};
}

PublishedPolicy::PublishedPolicy(const std::filesystem::path& directory)
    : PublishedPolicy(directory, describe(directory)) {}

PublishedPolicy::PublishedPolicy(const std::filesystem::path& directory, Description description)
    : weights_(load_weights(directory, description.config)),
      packed_(description.config, weights_, description.dtype, false) {}

bool PublishedPolicy::update(const std::filesystem::path& directory) {
  const Description description = describe(directory);
  if (description.config.hf_json != packed_.config().hf_json ||
      description.config.eos_token_ids != packed_.config().eos_token_ids ||
      mla_prefix_of(description.config) != std::string(mla_prefix_of(packed_.config())) ||
      description.dtype != packed_.dtype()) {
    return false;
  }
  const Weights weights = load_weights(directory, description.config);
  std::copy(weights.values().begin(), weights.values().end(), weights_.values().begin());
  packed_.update();
  return true;
}

}  // namespace zeroth
