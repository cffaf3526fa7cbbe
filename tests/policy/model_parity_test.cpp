// Agreement with transformers: logits and gradients of tiny checkpoints of every family that is
// read here.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "kernels/cpu_features.h"
#include "policy/decoder.h"
#include "policy/head.h"
#include "policy/safetensors.h"
#include "system/error.h"
#include "tests/support/sequences.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

std::vector<std::int64_t> integers(const SafetensorsFile& file, const std::string& name) {
  const TensorBytes* tensor = file.find(name);
  REQUIRE(tensor != nullptr);
  std::vector<std::int64_t> values(static_cast<std::size_t>(num_elements(*tensor)));
  copy_to_int64(*tensor, values, name);
  return values;
}

std::vector<float> floats(const TensorBytes& tensor) {
  std::vector<float> values(static_cast<std::size_t>(num_elements(tensor)));
  copy_to_float(tensor, values, tensor.name);
  return values;
}

// The checkpoints of the fixtures whose family is supported.
std::vector<fs::path> checkpoints() {
  const char* root = std::getenv("ZEROTH_FIXTURES");
  std::vector<fs::path> found;
  if (root == nullptr || !fs::exists(fs::path(root) / "model_parity")) {
    WARN("skipped: ZEROTH_FIXTURES/model_parity is not there");
    return found;
  }
  for (const auto& entry : fs::directory_iterator(fs::path(root) / "model_parity")) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    try {
      read_model_config(entry.path() / "config.json");
      found.push_back(entry.path());
    } catch (const InputError& error) {
      UNSCOPED_INFO("not read: " << error.what());
    }
  }
  CHECK(found.size() >= 3);
  return found;
}

struct Model {
  explicit Model(const fs::path& directory, MlaPrefix mla_prefix = MlaPrefix::absorbed)
      : config(read_model_config(directory / "config.json", mla_prefix)),
        weights(load_weights(directory, config)),
        policy(config, weights, Dtype::float32, true) {}
  ModelConfig config;
  Weights weights;
  PackedPolicy policy;
};

float largest_difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  float largest = 0.0F;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

// The algebras of prompts that the checkpoint's attention has.
std::vector<MlaPrefix> algebras(const fs::path& directory) {
  const ModelConfig config = read_model_config(directory / "config.json");
  if (config.layers[0].attention.kind != AttentionKind::mla) return {MlaPrefix::absorbed};
  return {MlaPrefix::absorbed, MlaPrefix::expanded};
}

// The first `prompt_length` tokens as a prompt, the others as its completion.
std::vector<float> all_logits(const Context& context, Model& model,
                              const std::vector<std::int32_t>& tokens, std::int64_t prompt_length) {
  ForwardBatch batch;
  test::append_sequence(batch, {tokens.begin(), tokens.begin() + prompt_length}, 0);
  if (const auto rest = static_cast<std::int64_t>(tokens.size()) - prompt_length; rest > 0) {
    test::append_sequence(batch, {tokens.begin() + prompt_length, tokens.end()}, prompt_length);
    batch.groups[1].num_runs = 1;  // the prompt's
    batch.groups[1].prefix_length = prompt_length;
    for (std::int64_t i = prompt_length; i < batch.size(); ++i)
      batch.positions[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i);
  }
  Cache cache(model.config);
  cache.resize(batch.size(), batch.size());
  Activations activations(false);
  decoder_forward(context, model.policy, batch, cache, activations);
  std::vector<std::int64_t> rows(tokens.size());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
  HeadBuffers buffers;
  const float* logits =
      head_logits(context, model.policy, activations.hidden.data(), rows, buffers);
  return {logits, logits + rows.size() * static_cast<std::size_t>(model.config.vocab_size)};
}

TEST_CASE("decoder: logits equal those of transformers", "[policy][fixtures]") {
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  for (const fs::path& directory : checkpoints()) {
    const SafetensorsFile expected(directory / "expected.safetensors");
    const auto ids = integers(expected, "input_ids");
    const auto golden = floats(*expected.find("logits"));
    const auto length = static_cast<std::int64_t>(ids.size());
    for (const MlaPrefix mla_prefix : algebras(directory)) {
      Model model(directory, mla_prefix);
      for (const std::int64_t prompt_length : {std::int64_t{1}, length / 2, length}) {
        INFO(directory.filename().string() << ", a prompt of " << prompt_length);
        const auto logits = all_logits(context, model, {ids.begin(), ids.end()}, prompt_length);
        CHECK(largest_difference(logits, golden) < 1e-4F);
      }
    }
  }
}

// Every token of `ids` is fed; all but the last predict their successor.
void append_training_sequence(const std::vector<std::int64_t>& ids, ForwardBatch& batch,
                              HeadTargets& targets) {
  const std::int64_t first = batch.size();
  test::append_sequence(batch, {ids.begin(), ids.end()}, first);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    targets.rows.push_back(first + static_cast<std::int64_t>(i));
    targets.target_offsets.push_back(static_cast<std::int64_t>(targets.targets.size()));
    targets.targets.push_back(static_cast<std::int32_t>(ids[i + 1]));
  }
  targets.segments.push_back(static_cast<std::int64_t>(targets.rows.size()));
}

void check_gradients(const Context& context, const fs::path& directory, MlaPrefix mla_prefix) {
  INFO(directory.filename().string());
  Model model(directory, mla_prefix);
  const SafetensorsFile expected(directory / "expected.safetensors");
  ForwardBatch batch;
  HeadTargets targets;
  targets.segments.push_back(0);
  for (const char* name : {"input_ids", "input_ids_2"}) {
    if (expected.find(name) == nullptr) continue;
    append_training_sequence(integers(expected, name), batch, targets);
  }
  const auto count = static_cast<std::int64_t>(targets.targets.size());
  targets.target_offsets.push_back(count);
  Cache cache(model.config);
  Cache dcache(model.config);
  cache.resize(batch.size(), batch.size());
  dcache.resize(batch.size(), batch.size());
  dcache.clear();
  Activations activations(true);
  decoder_forward(context, model.policy, batch, cache, activations);

  HeadBuffers buffers;
  const std::vector<float> dlogprobs(static_cast<std::size_t>(count),
                                     -1.0F / static_cast<float>(count));
  std::vector<float> gradients(model.weights.values().size(), 0.0F);
  BackwardScratch scratch;
  head_backward(context, model.policy, activations.hidden.data(), batch.size(), targets, 1.0,
                dlogprobs, buffers, scratch.dx.resize(batch.size() * model.config.hidden_size),
                gradients.data());
  decoder_backward(context, model.policy, batch, cache, activations, scratch, dcache,
                   gradients.data(), gradients.data() + model.policy.embedding());

  const SafetensorsFile grads(directory / "expected_grads.safetensors");
  std::size_t compared = 0;
  for (const WeightTensor& tensor : model.weights.tensors()) {
    const TensorBytes* golden = grads.find(tensor.name);
    if (golden == nullptr) continue;
    INFO(tensor.name);
    const std::span<const float> ours(gradients.data() + tensor.offset,
                                      static_cast<std::size_t>(tensor.size));
    const auto theirs = floats(*golden);
    float scale = 1e-3F;
    for (const float g : theirs) scale = std::max(scale, std::abs(g));
    CHECK(largest_difference(ours, theirs) < 2e-4F * scale + 1e-6F);
    ++compared;
  }
  CHECK(compared > 10);
}

TEST_CASE("decoder: the gradient of the mean negative log-likelihood equals that of transformers",
          "[policy][fixtures]") {
  ThreadPool pool(2);
  const Context context{best_isa(), &pool};
  for (const fs::path& directory : checkpoints()) {
    if (!fs::exists(directory / "expected_grads.safetensors")) continue;
    for (const MlaPrefix mla_prefix : algebras(directory)) {
      check_gradients(context, directory, mla_prefix);
    }
  }
}

}  // namespace
}  // namespace zeroth
