// libFuzzer: any text is a config.json or refused; what was read calls for a bounded list of
// tensors of sizes above zero, and reads the same from what would be written back.
//
//   tools/setup fuzz
//   build/fuzz/tests/fuzz/config_fuzz -dict=tests/fuzz/config.dict -max_len=4096
//   tests/fuzz/corpus/config

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "policy/model_config.h"
#include "system/error.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Lists of millions of names would leave the fuzzer little time for anything else.
bool is_small(const zeroth::ModelConfig& config) {
  std::int64_t experts = 0;
  for (const zeroth::LayerConfig& layer : config.layers) experts += layer.ffn.num_experts;
  return experts < 500;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const zeroth::ModelConfig config = zeroth::parse_model_config(text, "fuzz");
    require(!config.layers.empty());
    const zeroth::ModelConfig again = zeroth::parse_model_config(config.hf_json, "again");
    require(again.hf_json == config.hf_json);
    require(again.layers.size() == config.layers.size());
    if (!is_small(config)) return 0;
    const std::vector<zeroth::TensorSpec> tensors = zeroth::model_tensors(config);
    for (const zeroth::TensorSpec& tensor : tensors) {
      for (const std::int64_t n : tensor.shape) require(n > 0);
    }
    require(zeroth::model_tensors(again).size() == tensors.size());
  } catch (const zeroth::InputError&) {
  }
  return 0;
}
