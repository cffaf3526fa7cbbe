// Llama 3 (arXiv:2407.21783): grouped-query attention without biases or norms.
#include "policy/families/common.h"
#include "policy/families/families.h"

namespace zeroth {

void read_llama(const JsonReader& json, ModelConfig& config) {
  read_common(json, config);
  require_bool(json, "attention_bias", false);
  require_bool(json, "mlp_bias", false);
  const LayerConfig layer{.attention = read_gqa(json, config), .ffn = read_dense_ffn(json)};
  for (LayerConfig& each : config.layers) each = layer;
}

}  // namespace zeroth
