#include "policy/model_config.h"

#include <boost/json/object.hpp>

#include "policy/families/common.h"
#include "policy/families/families.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

constexpr std::int64_t kMaxExpertsOfModel = 1 << 18;  // Kimi-K2 has 23,040
constexpr const char* kQuantization = "quantization_config";

/// A number beyond those of a double, in a key that nobody asks for, could not be written back.
void check_finite(const JsonReader& value) {
  if (value.value().is_double()) value.as_double();
  if (value.value().is_array()) {
    for (const JsonReader& element : value.elements()) check_finite(element);
  }
  if (!value.value().is_object()) return;
  for (const std::string& key : value.keys()) check_finite(value.child(key));
}

std::string without_quantization(const JsonReader& reader, std::string_view json) {
  if (!reader.contains(kQuantization)) return std::string(json);
  boost::json::object object = reader.value().as_object();
  object.erase(kQuantization);
  return write_json(object, JsonLayout::indented) + "\n";
}

/// Every expert is three tensors with names: what a damaged number may ask for stays a list that
/// fits the memory.
void check_num_experts(const JsonReader& reader, const ModelConfig& config) {
  std::int64_t num_experts = 0;
  for (const LayerConfig& layer : config.layers) num_experts += layer.ffn.num_experts;
  if (num_experts > kMaxExpertsOfModel) {
    reader.fail("num_hidden_layers", "layers with at most " + std::to_string(kMaxExpertsOfModel) +
                                         " experts in all, not " + std::to_string(num_experts));
  }
}

}  // namespace

ModelConfig read_model_config(const std::filesystem::path& file) {
  ModelConfig config = parse_model_config(read_file(file), file.string());
  const std::filesystem::path generation = file.parent_path() / "generation_config.json";
  if (std::filesystem::exists(generation)) add_end_tokens(JsonReader::read(generation), config);
  return config;
}

ModelConfig parse_model_config(std::string_view json, const std::string& source) {
  const JsonReader reader = JsonReader::parse(json, source, JsonKeys::unique);
  check_finite(reader);
  const std::string model_type = reader.get_string("model_type");
  const ModelFamily* family = find_model_family(model_type);
  if (family == nullptr) reader.fail("model_type", "one of " + known_model_types());
  ModelConfig config;
  config.model_type = model_type;
  config.hf_json = without_quantization(reader, json);
  family->read(reader, config);
  check_num_experts(reader, config);
  return config;
}

ModelConfig read_model_config(const std::filesystem::path& file, MlaPrefix mla_prefix) {
  ModelConfig config = read_model_config(file);
  set_mla_prefix(config, mla_prefix, file.string());
  return config;
}

void set_mla_prefix(ModelConfig& config, MlaPrefix mla_prefix, const std::string& model) {
  for (LayerConfig& layer : config.layers) {
    if (mla_prefix == MlaPrefix::expanded && layer.attention.kind != AttentionKind::mla) {
      throw InputError({.source = "configuration",
                        .field = "mla_prefix",
                        .expected = "absorbed, since " + model + " (" + config.model_type +
                                    ") has no latent attention",
                        .actual = "expanded"});
    }
    layer.attention.mla_prefix = mla_prefix;
  }
}

}  // namespace zeroth
