// The multi-token-prediction modules of a checkpoint: which tensors are theirs, and what a run that
// trains them takes along (policy/mtp.h computes them).
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "policy/model_config.h"

namespace zeroth {

/// Whether `name` belongs to one of the modules that config.json counts.
bool is_mtp_tensor(const std::string& name, const ModelConfig& config);

/// Has the modules of the checkpoint in `directory`, of which `config` was read, loaded and trained
/// with the model: fills config.mtp. A module's embedding and head are the model's, as in
/// DeepSeek-V3 (arXiv:2412.19437, section 2.2), where the checkpoint has none for it or stores the
/// model's once more. InputError where there are no modules, or input and output embeddings are
/// one.
void train_mtp(ModelConfig& config, const std::filesystem::path& directory);

/// The names under which the checkpoint repeats tensors of the model for modules that are trained,
/// each with the name it has in the model.
std::vector<std::pair<std::string, std::string>> mtp_copies(const ModelConfig& config);

}  // namespace zeroth
