#include "policy/mtp_checkpoint.h"

#include <algorithm>

#include "policy/safetensors.h"
#include "system/error.h"

namespace zeroth {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

bool stores_once_more(const SafetensorsCheckpoint& checkpoint, const std::string& name,
                      const std::string& of_model) {
  const TensorBytes* own = checkpoint.find(name).tensor;
  const TensorBytes* shared = checkpoint.find(of_model).tensor;
  return own != nullptr && shared != nullptr && own->type == shared->type &&
         own->shape == shared->shape && std::ranges::equal(own->bytes, shared->bytes);
}

std::string module_prefix(const ModelConfig& config, std::size_t depth) {
  return layer_prefix(config.layers.size() + depth);
}

[[noreturn]] void refuse(const std::filesystem::path& source, const char* field,
                         const std::string& expected, const std::string& actual) {
  throw InputError(
      {.source = source.string(), .field = field, .expected = expected, .actual = actual});
}

}  // namespace

bool is_mtp_tensor(const std::string& name, const ModelConfig& config) {
  const std::size_t first = config.layers.size();
  const auto count = static_cast<std::size_t>(config.num_nextn_predict_layers);
  for (std::size_t layer = first; layer < first + count; ++layer) {
    if (name.starts_with(layer_prefix(layer))) return true;
  }
  return false;
}

void train_mtp(ModelConfig& config, const std::filesystem::path& directory) {
  if (config.num_nextn_predict_layers == 0) {
    refuse(directory / "config.json", "num_nextn_predict_layers",
           "at least 1, since mtp_loss_weight trains such modules", "0 or nothing");
  }
  if (config.tie_word_embeddings) {
    refuse(directory / "config.json", "tie_word_embeddings",
           "false, since mtp_loss_weight is not 0", "true");
  }
  const SafetensorsCheckpoint checkpoint(directory);
  config.mtp.clear();
  for (std::int64_t k = 0; k < config.num_nextn_predict_layers; ++k) {
    const std::string prefix = module_prefix(config, static_cast<std::size_t>(k));
    const std::string embedding = prefix + "embed_tokens.weight";
    const std::string head = prefix + "shared_head.head.weight";
    MtpConfig mtp;
    mtp.copied_embedding = stores_once_more(checkpoint, embedding, kEmbedding);
    mtp.copied_head = stores_once_more(checkpoint, head, kHead);
    mtp.own_embedding = !mtp.copied_embedding && checkpoint.find(embedding).tensor != nullptr;
    mtp.own_head = !mtp.copied_head && checkpoint.find(head).tensor != nullptr;
    config.mtp.push_back(mtp);
  }
}

std::vector<std::pair<std::string, std::string>> mtp_copies(const ModelConfig& config) {
  std::vector<std::pair<std::string, std::string>> copies;
  for (std::size_t k = 0; k < config.mtp.size(); ++k) {
    const std::string prefix = module_prefix(config, k);
    if (config.mtp[k].copied_embedding)
      copies.emplace_back(prefix + "embed_tokens.weight", kEmbedding);
    if (config.mtp[k].copied_head) copies.emplace_back(prefix + "shared_head.head.weight", kHead);
  }
  return copies;
}

}  // namespace zeroth
