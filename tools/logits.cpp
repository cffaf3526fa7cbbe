// zeroth logits: what the model computes for a text, to be compared with other implementations.

#include <boost/json.hpp>
#include <iostream>

#include "policy/decoder.h"
#include "policy/head.h"
#include "system/error.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/compute.h"
#include "tools/loaded_policy.h"
#include "tools/model_directory.h"
#include "tools/options.h"

namespace zeroth {

struct LogitsConfig : PolicyOptions {
  LogitsConfig() { dtype = "float32"; }
  std::string text;
};

template <class Visitor>
void visit_fields(Visitor& v, LogitsConfig& c) {
  visit_fields(v, static_cast<PolicyOptions&>(c));
  v("text", c.text, "text whose tokens are fed");
}

void check(const LogitsConfig& config) {
  if (config.model_name_or_path.empty() || config.text.empty()) {
    throw InputError({.source = "logits",
                      .field = config.text.empty() ? "text" : "model_name_or_path",
                      .expected = "a value",
                      .actual = "none"});
  }
}

namespace {

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

}  // namespace

int run_logits(int argc, char** argv) {
  LogitsConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "logits",
                                           .summary = "logits of every position of a text, as JSON",
                                           .positional = "text"});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  if (options.dry_run) {
    std::cout << "would compute the logits of " << config.text.size() << " bytes\n";
    return kExitDone;
  }
  const Compute compute(config);
  LoadedPolicy policy(config.model_name_or_path, config.dtype, config.mla_prefix);
  const std::vector<std::int32_t> ids = policy.tokenizer.encode(config.text);
  const ForwardBatch batch = single_sequence(ids);
  Cache cache(policy.config);
  cache.resize(batch.size(), batch.size());
  Activations activations(false);
  decoder_forward(compute.context(), policy.packed, batch, cache, activations);
  std::vector<std::int64_t> rows(batch.cache_rows);
  HeadBuffers buffers;
  const float* logits =
      head_logits(compute.context(), policy.packed, activations.hidden.data(), rows, buffers);
  boost::json::array by_position;
  for (std::size_t t = 0; t < ids.size(); ++t) {
    const float* row = logits + t * static_cast<std::size_t>(policy.config.vocab_size);
    by_position.push_back(boost::json::array(row, row + policy.config.vocab_size));
  }
  const boost::json::object json = {
      {"text", config.text},
      {"text_ids", boost::json::array(ids.begin(), ids.end())},
      {"input_ids", boost::json::array{boost::json::array(ids.begin(), ids.end())}},
      {"logits", boost::json::array{std::move(by_position)}}};
  std::cout << write_json(json) << "\n";
  return kExitDone;
}

}  // namespace zeroth
