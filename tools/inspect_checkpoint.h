// What zeroth inspect finds out about a checkpoint directory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy/model_config.h"
#include "policy/weights.h"

namespace zeroth {

struct TensorReport {
  std::string name;
  std::string dtype;  // as stored
  std::vector<std::int64_t> shape;
  // Of the values that are finite; nothing where they were not read.
  std::optional<double> mean = std::nullopt, std = std::nullopt;
};

struct WeightsFile {
  std::string name;
  std::int64_t bytes = 0;
  std::string sha256;  // empty: not asked for
};

struct DtypeCount {
  std::int64_t tensors = 0, bytes = 0;
};

struct CheckpointReport {
  ModelConfig config;
  std::string config_json;  // as it stands
  ParameterCounts parameters;
  std::vector<TensorReport> tensors;         // in the order of the forward pass, then the others
  std::map<std::string, DtypeCount> dtypes;  // of all that is stored
  std::vector<WeightsFile> files;
  std::int64_t tokenizer_size = 0;          // 0: none could be read
  std::vector<std::string> chat_templates;  // "default: chat_template.jinja"
  std::string checksums = "none";           // "verified", "none", "wrong" or "not read"
  std::vector<std::string> problems;        // what does not fit; the checkpoint is not whole
  std::vector<std::string> notes;           // what is unusual, and may be meant
};

struct InspectionDepth {
  bool values = true;      // read every weight, and verify SHA256SUMS where it is there
  bool checksums = false;  // of every file of weights
};

/// InputError for a config.json that cannot be read; everything else that is wrong is a problem of
/// the report. Memory does not grow with the weights.
CheckpointReport inspect_checkpoint(const std::filesystem::path& directory,
                                    const InspectionDepth& depth);

}  // namespace zeroth
