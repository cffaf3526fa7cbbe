// zeroth logits: what the model computes for a text or for tokens, to be compared with other
// implementations.

#include <boost/json.hpp>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "policy/decoder.h"
#include "policy/head.h"
#include "policy/packed_policy.h"
#include "policy/safetensors.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"
#include "rl/training_options.h"
#include "system/error.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/model_directory.h"
#include "tools/options.h"

namespace zeroth {

struct LogitsConfig : PolicyOptions {
  LogitsConfig() { dtype = "float32"; }
  std::string text;
  std::vector<std::int64_t> ids;
  std::string out;
  bool experts = false;
};

template <class Visitor>
void visit_fields(Visitor& v, LogitsConfig& c) {
  visit_fields(v, static_cast<PolicyOptions&>(c));
  v("text", c.text, "text whose tokens are fed");
  v("ids", c.ids, "tokens that are fed, in place of a text; needs no tokenizer");
  v("out", c.out,
    "safetensors file for the logits, float32 [tokens, vocabulary], named logits; empty = JSON on "
    "standard output");
  v("experts", c.experts,
    "also the experts each token is sent to, best first: int32 [tokens, experts a token], named "
    "experts.LAYER");
}

void check(const LogitsConfig& config) {
  const auto refuse = [](const char* field, const char* expected, const std::string& actual) {
    throw InputError({.source = "logits", .field = field, .expected = expected, .actual = actual});
  };
  if (config.model_name_or_path.empty()) refuse("model_name_or_path", "a checkpoint", "none");
  if (config.text.empty() && config.ids.empty()) refuse("ids", "tokens, or a text", "neither");
  if (!config.text.empty() && !config.ids.empty()) refuse("ids", "tokens or a text", "both");
}

namespace {

// The tokens of the text where `ids` are none.
std::vector<std::int32_t> tokens_of(const LogitsConfig& config, const ModelConfig& model) {
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < config.ids.size(); ++i) {
    const std::int64_t id = config.ids[i];
    if (id < 0 || id >= model.vocab_size) {
      throw InputError({.source = "logits",
                        .field = "ids[" + std::to_string(i) + "]",
                        .expected = "a token from 0 to " + std::to_string(model.vocab_size - 1),
                        .actual = std::to_string(id)});
    }
    tokens.push_back(static_cast<std::int32_t>(id));
  }
  if (tokens.empty()) tokens = Tokenizer::load(config.model_name_or_path).encode(config.text);
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (count < 1 || count > model.max_position_embeddings) {
    throw InputError({.source = "logits",
                      .field = config.ids.empty() ? "text" : "ids",
                      .expected = "1 to " + std::to_string(model.max_position_embeddings) +
                                  " tokens (max_position_embeddings)",
                      .actual = std::to_string(count)});
  }
  return tokens;
}

// One sequence on its own, from position 0.
ForwardBatch single_sequence(std::vector<std::int32_t> tokens) {
  ForwardBatch batch;
  const auto n = static_cast<std::int64_t>(tokens.size());
  batch.tokens = std::move(tokens);
  for (std::int64_t i = 0; i < n; ++i) {
    batch.positions.push_back(static_cast<std::int32_t>(i));
    batch.cache_rows.push_back(i);
  }
  batch.groups.push_back({.num_members = 1});
  batch.members.push_back({.num_queries = n, .num_runs = 1});
  batch.runs.push_back({.row = 0, .count = n});
  return batch;
}

// The experts [T, K] of the layer of that index.
struct ExpertsOfLayer {
  std::size_t layer = 0;
  std::int64_t per_token = 0;
  std::vector<std::int32_t> ids;
};

std::vector<ExpertsOfLayer> experts_of(const ModelConfig& model, const Activations& activations) {
  std::vector<ExpertsOfLayer> all;
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const FfnConfig& ffn = model.layers[i].ffn;
    if (ffn.kind != FfnKind::moe) continue;
    all.push_back({i, ffn.num_experts_per_tok, activations.experts[all.size()]});
  }
  return all;
}

void write_file(const LogitsConfig& config, std::span<const float> logits, std::int64_t T,
                std::int64_t V, const std::vector<ExpertsOfLayer>& experts) {
  std::vector<TensorBytes> tensors{
      {.name = "logits", .type = TensorType::f32, .shape = {T, V}, .bytes = std::as_bytes(logits)}};
  for (const ExpertsOfLayer& each : experts) {
    tensors.push_back({.name = "experts." + std::to_string(each.layer),
                       .type = TensorType::i32,
                       .shape = {T, each.per_token},
                       .bytes = std::as_bytes(std::span(each.ids))});
  }
  write_safetensors(config.out, std::move(tensors));
  std::cerr << "wrote " << config.out << ": logits [" << T << ", " << V << "]\n";
}

// [rows, width] as an array of arrays.
template <class T>
boost::json::array nested(std::span<const T> values, std::int64_t width) {
  boost::json::array rows;
  for (auto at = values.begin(); at != values.end(); at += width)
    rows.push_back(boost::json::array(at, at + width));
  return rows;
}

void print_json(const LogitsConfig& config, const std::vector<std::int32_t>& ids,
                std::span<const float> logits, std::int64_t V,
                const std::vector<ExpertsOfLayer>& experts) {
  boost::json::object json;
  if (!config.text.empty()) {
    json["text"] = config.text;
    json["text_ids"] = boost::json::array(ids.begin(), ids.end());
  }
  json["input_ids"] = boost::json::array{boost::json::array(ids.begin(), ids.end())};
  json["logits"] = boost::json::array{nested(logits, V)};
  if (config.experts) {
    boost::json::object by_layer;
    for (const ExpertsOfLayer& each : experts) {
      by_layer[std::to_string(each.layer)] =
          boost::json::array{nested(std::span<const std::int32_t>(each.ids), each.per_token)};
    }
    json["experts"] = std::move(by_layer);
  }
  std::cout << write_json(json) << "\n";
}

void compute_logits(const LogitsConfig& config) {
  const std::filesystem::path directory = config.model_name_or_path;
  const ModelConfig model =
      read_model_config(directory / "config.json", parse_mla_prefix(config.mla_prefix));
  const std::vector<std::int32_t> ids = tokens_of(config, model);
  const Compute compute(config);
  Weights weights = load_weights(directory, model);
  const PackedPolicy packed(model, weights, parse_dtype(config.dtype), false);

  const ForwardBatch batch = single_sequence(ids);
  Cache cache(model);
  cache.resize(batch.size(), batch.size());
  Activations activations(false);
  decoder_forward(compute.context(), packed, batch, cache, activations);
  const std::vector<std::int64_t> rows(batch.cache_rows);
  HeadBuffers buffers;
  const std::int64_t V = model.vocab_size;
  const std::span<const float> logits(
      head_logits(compute.context(), packed, activations.hidden.data(), rows, buffers),
      ids.size() * static_cast<std::size_t>(V));
  const auto experts =
      config.experts ? experts_of(model, activations) : std::vector<ExpertsOfLayer>{};
  if (config.out.empty()) {
    print_json(config, ids, logits, V, experts);
  } else {
    write_file(config, logits, static_cast<std::int64_t>(ids.size()), V, experts);
  }
}

}  // namespace

int run_logits(int argc, char** argv) {
  LogitsConfig config;
  const ResolvedOptions options =
      resolve(argc, argv, config,
              {.name = "logits",
               .summary = "logits of every position of a text or of tokens",
               .positional = "model_name_or_path"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  if (options.dry_run) {
    std::cout << "would compute the logits of "
              << (config.ids.empty() ? std::to_string(config.text.size()) + " bytes"
                                     : std::to_string(config.ids.size()) + " tokens")
              << "\n";
    return kExitDone;
  }
  compute_logits(config);
  return kExitDone;
}

}  // namespace zeroth
