#include "tools/inspect_report.h"

#include <boost/json.hpp>
#include <cstdio>
#include <iostream>
#include <vector>

#include "policy/cache.h"
#include "policy/safetensors.h"
#include "system/json.h"
#include "tools/printable.h"

namespace zeroth {
namespace {

constexpr std::size_t kMostProblems = 20;  // that are printed of each kind

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

std::string megabytes(std::int64_t bytes) {
  char text[40];
  std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

// Layers that are the same, one after another, are one line.
void print_layers(const ModelConfig& model) {
  for (std::size_t begin = 0; begin < model.layers.size();) {
    const std::string text = describe_layer(model.layers[begin]);
    std::size_t end = begin + 1;
    while (end < model.layers.size() && describe_layer(model.layers[end]) == text) ++end;
    std::cout << (end == begin + 1 ? "  layer " : "  layers ") << begin;
    if (end > begin + 1) std::cout << " to " << end - 1;
    std::cout << ": " << text << "\n";
    begin = end;
  }
}

void print_files(const CheckpointReport& report) {
  for (const auto& [dtype, count] : report.dtypes) {
    std::cout << "weights: " << count.tensors << " tensors " << dtype << ", "
              << megabytes(count.bytes) << "\n";
  }
  for (const WeightsFile& file : report.files) {
    std::cout << "file: " << printable(file.name) << ", " << megabytes(file.bytes)
              << (file.sha256.empty() ? "" : ", sha256 " + file.sha256) << "\n";
  }
}

void print_tensors(const CheckpointReport& report) {
  std::cout << "\n" << std::flush;
  for (const TensorReport& tensor : report.tensors) {
    std::printf("%-64s %-7s %-16s", printable(tensor.name).c_str(), tensor.dtype.c_str(),
                describe_shape(tensor.shape).c_str());
    if (tensor.mean) std::printf(" mean %10.3e std %10.3e", *tensor.mean, *tensor.std);
    std::printf("\n");
  }
  std::fflush(stdout);
}

void print_lines(const char* what, const std::vector<std::string>& lines) {
  for (std::size_t i = 0; i < std::min(lines.size(), kMostProblems); ++i)
    std::cout << what << ": " << printable(lines[i]) << "\n";
  if (lines.size() > kMostProblems)
    std::cout << what << ": and " << lines.size() - kMostProblems << " more (--json has all)\n";
}

}  // namespace

void print_text(const std::string& name, const CheckpointReport& report, bool tensors) {
  const ModelConfig& model = report.config;
  std::cout << printable(name) << ": " << model.model_type << ", " << model.layers.size()
            << " layers, hidden " << model.hidden_size << ", vocabulary " << model.vocab_size
            << (model.tie_word_embeddings ? ", tied" : "") << "\n";
  print_layers(model);
  std::cout << "parameters: " << report.parameters.total << ", active for a token "
            << report.parameters.active << "\n"
            << "cache: " << cache_bytes_per_token(model) << " bytes a token\n";
  print_files(report);
  std::cout << "tokenizer: "
            << (report.tokenizer_size > 0 ? std::to_string(report.tokenizer_size) + " tokens"
                                          : "none")
            << "\n";
  if (report.chat_templates.empty()) std::cout << "chat template: none\n";
  for (const std::string& line : report.chat_templates)
    std::cout << "chat template: " << printable(line) << "\n";
  std::cout << "checksums: " << report.checksums << "\n";
  if (tensors) print_tensors(report);
  print_lines("note", report.notes);
  print_lines("problem", report.problems);
  std::cout << (report.problems.empty() ? "no problems found\n" : "");
}

void print_json(const std::string& name, const CheckpointReport& report) {
  const auto number = [](const std::optional<double>& value) {
    return value ? boost::json::value(*value) : boost::json::value(nullptr);
  };
  boost::json::array tensors, files;
  for (const TensorReport& tensor : report.tensors) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", tensor.dtype},
                       {"shape", boost::json::value_from(tensor.shape)},
                       {"mean", number(tensor.mean)},
                       {"std", number(tensor.std)}});
  }
  for (const WeightsFile& file : report.files) {
    boost::json::object entry = {{"name", file.name}, {"bytes", file.bytes}};
    if (!file.sha256.empty()) entry["sha256"] = file.sha256;
    files.push_back(std::move(entry));
  }
  boost::json::object dtypes;
  for (const auto& [dtype, count] : report.dtypes)
    dtypes[dtype] = {{"tensors", count.tensors}, {"bytes", count.bytes}};
  const boost::json::object result = {
      {"model_name_or_path", name},
      {"config", JsonReader::parse(report.config_json, "config.json").value()},
      {"parameters", report.parameters.total},
      {"active_parameters", report.parameters.active},
      {"cache_bytes_per_token", cache_bytes_per_token(report.config)},
      {"dtypes", std::move(dtypes)},
      {"files", std::move(files)},
      {"tokenizer_tokens", report.tokenizer_size},
      {"chat_templates", boost::json::value_from(report.chat_templates)},
      {"checksums", report.checksums},
      {"tensors", std::move(tensors)},
      {"notes", boost::json::value_from(report.notes)},
      {"problems", boost::json::value_from(report.problems)}};
  std::cout << write_json(result) << "\n";
}

}  // namespace zeroth
