// The checkpoints that transformers computed on (ZEROTH_FIXTURES/model_parity), and what a test
// asks of each: a model that runs, and the numbers recorded beside it.
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/cpu_features.h"
#include "policy/decoder.h"
#include "policy/head.h"
#include "policy/safetensors.h"
#include "system/json.h"
#include "tests/support/fixtures.h"
#include "tests/support/sequences.h"

namespace zeroth::testing {

/// Every folder with a checkpoint and what it computes; none is passed over for its family.
inline std::vector<std::filesystem::path> parity_checkpoints() {
  std::vector<std::filesystem::path> found;
  for (const std::filesystem::path& entry : fixtures_in("model_parity")) {
    if (std::filesystem::exists(entry / "config.json")) found.push_back(entry);
  }
  if (found.empty()) WARN("skipped: no checkpoints in ZEROTH_FIXTURES/model_parity");
  return found;
}

struct ParityModel {
  explicit ParityModel(const std::filesystem::path& directory,
                       MlaPrefix mla_prefix = MlaPrefix::absorbed)
      : config(read_model_config(directory / "config.json", mla_prefix)),
        weights(load_weights(directory, config)),
        policy(config, weights, Dtype::float32, true) {}
  ModelConfig config;
  Weights weights;
  PackedPolicy policy;
};

/// expected.safetensors and expected.json; what one of them does not record is not compared.
class Expected {
 public:
  explicit Expected(const std::filesystem::path& directory)
      : file_(directory / "expected.safetensors"),
        json_(JsonReader::read(directory / "expected.json")) {}

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  const JsonReader& json() const { return json_; }

  std::vector<std::int32_t> ids(const std::string& name) const {
    const TensorBytes& tensor = file_.tensor(name);
    std::vector<std::int64_t> values(static_cast<std::size_t>(num_elements(tensor)));
    copy_to_int64(tensor, values, name);
    return {values.begin(), values.end()};
  }
  std::vector<float> floats(const std::string& name) const {
    const TensorBytes& tensor = file_.tensor(name);
    std::vector<float> values(static_cast<std::size_t>(num_elements(tensor)));
    copy_to_float(tensor, values, name);
    return values;
  }

 private:
  SafetensorsFile file_;
  JsonReader json_;
};

/// The algebras of prompts that the checkpoint's attention has.
inline std::vector<MlaPrefix> algebras(const std::filesystem::path& directory) {
  const ModelConfig config = read_model_config(directory / "config.json");
  if (config.layers[0].attention.kind != AttentionKind::mla) return {MlaPrefix::absorbed};
  return {MlaPrefix::absorbed, MlaPrefix::expanded};
}

inline float largest_difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  float largest = 0.0F;
  for (std::size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

}  // namespace zeroth::testing
