// zeroth inspect: what a checkpoint is, and whether it is whole; GGUF files: inspect_gguf.cpp.

#include <boost/json.hpp>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "policy/cache.h"
#include "policy/model_config.h"
#include "policy/safetensors.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"
#include "rl/config.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/inspect_gguf.h"
#include "tools/model_directory.h"
#include "tools/options.h"
#include "tools/printable.h"
#include "tools/summary.h"

namespace zeroth {
namespace {

struct TensorReport {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  Summary values;  // of those that are finite
};

struct Report {
  ModelConfig config;
  std::int64_t num_parameters = 0;
  std::int64_t num_active_parameters = 0;
  std::vector<TensorReport> tensors;
  std::int64_t tokenizer_size = 0;  // 0: none could be read
  std::string checksums = "none";   // "verified", "none" or "wrong"
  std::vector<std::string> problems;
};

// Runs a part of the inspection; what is wrong with it becomes a line of the report.
bool try_part(Report& report, const std::function<void()>& part) {
  try {
    part();
    return true;
  } catch (const InputError& error) {
    report.problems.emplace_back(error.what());
    return false;
  }
}

void inspect_weights(const std::filesystem::path& directory, Report& report) {
  const Weights weights = load_weights(directory, report.config);
  report.num_parameters = weights.num_parameters();
  report.num_active_parameters = weights.num_active_parameters();
  const SafetensorsCheckpoint files(directory);
  for (const WeightTensor& tensor : weights.tensors()) {
    const std::span<const float> floats = weights[tensor.name];
    std::vector<double> values;
    for (const float value : floats) {
      if (std::isfinite(value)) values.push_back(value);
    }
    if (values.size() < floats.size()) {
      report.problems.push_back(tensor.name + ": " + std::to_string(floats.size() - values.size()) +
                                " values are not finite");
    }
    const TensorBytes* stored = files.find(tensor.name).tensor;
    report.tensors.push_back(
        {.name = tensor.name,
         .dtype = stored == nullptr ? "none" : std::string(tensor_type_name(stored->type)),
         .shape = tensor.shape,
         .values = values.empty() ? Summary{} : summarize(values)});
  }
}

void inspect_tokenizer(const std::filesystem::path& directory, Report& report) {
  report.tokenizer_size = Tokenizer::load(directory).vocab_size();
  if (report.tokenizer_size > report.config.vocab_size) {
    throw InputError(
        {.source = (directory / "tokenizer.json").string(),
         .field = "",
         .expected = "at most vocab_size (" + std::to_string(report.config.vocab_size) + ") tokens",
         .actual = std::to_string(report.tokenizer_size)});
  }
}

Report inspect(const std::filesystem::path& directory) {
  Report report;
  report.config = read_model_config(directory / "config.json");
  if (std::filesystem::exists(directory / "SHA256SUMS")) {
    const bool right = try_part(report, [&] { verify_sha256sums(directory); });
    report.checksums = right ? "verified" : "wrong";
  }
  try_part(report, [&] { inspect_weights(directory, report); });
  try_part(report, [&] { inspect_tokenizer(directory, report); });
  return report;
}

std::string describe_layer(const LayerConfig& layer) {
  const bool mla = layer.attention.kind == AttentionKind::mla;
  const bool moe = layer.ffn.kind == FfnKind::moe;
  std::string text = (mla ? "mla " : "gqa ") + std::to_string(layer.attention.num_heads) + " heads";
  if (mla) {
    text += ", latent " + std::to_string(layer.attention.kv_lora_rank) + " + rope " +
            std::to_string(layer.attention.qk_rope_head_dim);
  } else {
    text += " over " + std::to_string(layer.attention.num_kv_heads);
  }
  text += moe ? "; moe " + std::to_string(layer.ffn.num_experts) + " experts top-" +
                    std::to_string(layer.ffn.num_experts_per_tok) + " + " +
                    std::to_string(layer.ffn.num_shared_experts) + " shared of width "
              : "; dense of width ";
  return text + std::to_string(layer.ffn.intermediate_size);
}

void print_text(const InspectConfig& config, const Report& report) {
  const ModelConfig& model = report.config;
  std::cout << config.model_name_or_path << ": " << model.model_type << ", " << model.layers.size()
            << " layers, hidden " << model.hidden_size << ", vocabulary " << model.vocab_size
            << "\n";
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    std::cout << "  layer " << i << ": " << describe_layer(model.layers[i]) << "\n";
  }
  std::cout << "parameters: " << report.num_parameters << ", active for a token "
            << report.num_active_parameters << "\n"
            << "cache: " << cache_bytes_per_token(model) << " bytes a token\n"
            << "tokenizer: ";
  if (report.tokenizer_size > 0) {
    std::cout << report.tokenizer_size << " tokens\n";
  } else {
    std::cout << "none\n";
  }
  std::cout << "checksums: " << report.checksums << "\n\n" << std::flush;
  for (const TensorReport& tensor : report.tensors) {
    std::printf("%-64s %-5s %-16s mean %10.3e std %10.3e\n", tensor.name.c_str(),
                tensor.dtype.c_str(), describe_shape(tensor.shape).c_str(), tensor.values.mean,
                tensor.values.std);
  }
  std::fflush(stdout);
  for (const std::string& problem : report.problems)
    std::cout << "problem: " << printable(problem) << "\n";
  std::cout << (report.problems.empty() ? "no problems found\n" : "");
}

void print_json(const InspectConfig& config, const Report& report) {
  boost::json::array tensors;
  for (const TensorReport& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.dtype},
                       {"shape", boost::json::value_from(tensor.shape)},
                       {"mean", tensor.values.mean},
                       {"std", tensor.values.std}});
  }
  const boost::json::object result = {
      {"model_name_or_path", config.model_name_or_path},
      {"config", JsonReader::parse(report.config.hf_json, "config.json").value()},
      {"parameters", report.num_parameters},
      {"active_parameters", report.num_active_parameters},
      {"cache_bytes_per_token", cache_bytes_per_token(report.config)},
      {"tokenizer_tokens", report.tokenizer_size},
      {"checksums", report.checksums},
      {"tensors", std::move(tensors)},
      {"problems", boost::json::value_from(report.problems)}};
  std::cout << write_json(result) << "\n";
}

}  // namespace

int run_inspect(int argc, char** argv) {
  InspectConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "inspect",
                                           .summary = "say what a checkpoint is, and check it",
                                           .positional = "model_name_or_path"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  if (is_gguf(config.model_name_or_path)) return inspect_gguf(config);
  const Report report = inspect(config.model_name_or_path);
  if (config.json) {
    print_json(config, report);
  } else {
    print_text(config, report);
  }
  return report.problems.empty() ? kExitDone : kExitWrongInput;
}

}  // namespace zeroth
