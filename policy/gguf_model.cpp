#include "policy/gguf_model.h"

#include <array>
#include <cstdio>
#include <iterator>
#include <utility>

#include "policy/gguf/model_keys.h"
#include "policy/gguf/model_tensors.h"
#include "policy/gguf_tokenizer.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kQuantizationVersion = 2;  // of the blocks' layouts

void append(std::vector<GgufEntry>& to, std::vector<GgufEntry> from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

/// At least two digits: 9.4K, 171K, 1.2B.
std::string rounded(double count) {
  struct Unit {
    double size;
    char letter;
  };
  constexpr std::array kUnits = {Unit{1e12, 'T'}, Unit{1e9, 'B'}, Unit{1e6, 'M'}, Unit{1e3, 'K'}};
  const Unit* unit = &kUnits.back();
  for (const Unit& larger : kUnits) {
    if (count > larger.size) {
      unit = &larger;
      break;
    }
  }
  const double scaled = count / unit->size;
  const int decimals = scaled < 0.5 ? 2 : scaled < 9.5 ? 1 : 0;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f%c", decimals, scaled, unit->letter);
  return text.data();
}

/// "171K", or "16x157K": the number of experts, and the parameters with one of each layer's.
std::string size_label(const std::vector<GgufSource>& tensors) {
  std::int64_t count = 0, num_experts = 0;
  for (const GgufSource& tensor : tensors) {
    std::int64_t size = 1;
    for (const std::int64_t side : tensor.shape) size *= side;
    if (tensor.name.find("_exps.") != std::string::npos) {
      num_experts = tensor.shape[0];
      size /= num_experts;
    }
    count += size;
  }
  const std::string label = rounded(static_cast<double>(count));
  return num_experts > 0 ? std::to_string(num_experts) + "x" + label : label;
}

}  // namespace

GgufModel gguf_model(const ModelConfig& config, const Weights& weights, const Tokenizer& tokenizer,
                     const GgufModelOptions& options) {
  GgufModel model;
  std::vector<GgufEntry> keys = gguf_model_keys(config, options.source);
  model.tensors = gguf_model_tensors(config, weights, options.type, options.source);
  model.warnings = gguf_model_warnings(config);
  model.metadata = {{"general.architecture", gguf_architecture(config, options.source)},
                    {"general.type", std::string("model")}};
  if (!options.name.empty()) model.metadata.push_back({"general.name", options.name});
  append(model.metadata, {{"general.size_label", size_label(model.tensors)},
                          {"general.file_type", gguf_file_type_number(options.type)},
                          {"general.quantization_version", kQuantizationVersion}});
  append(model.metadata, std::move(keys));
  GgufTokenizer made = gguf_tokenizer(
      tokenizer, config,
      {.chat_template = options.chat_template, .pre = options.pre, .source = options.source});
  append(model.metadata, std::move(made.metadata));
  model.warnings.insert(model.warnings.end(), made.warnings.begin(), made.warnings.end());
  return model;
}

}  // namespace zeroth
