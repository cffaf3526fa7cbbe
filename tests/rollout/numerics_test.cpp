#include "rollout/numerics.h"

#include <catch2/catch.hpp>

#include "rollout/local_engine.h"
#include "tests/support/kernel_context.h"

namespace zeroth {

TEST_CASE("numerics: every instruction set and number of threads has the same fingerprint",
          "[rollout][threads]") {
  for (const Dtype dtype : {Dtype::float32, Dtype::bfloat16}) {
    ThreadPool one(1);
    const std::string expected = rollout_numerics({Isa::portable, &one}, dtype);
    CHECK(expected.size() == dtype_name(dtype).size() + 1 + 16);
    CHECK(expected.starts_with(std::string(dtype_name(dtype)) + "-"));
    for (const Isa isa : supported_isas()) {
      for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        CHECK(rollout_numerics({isa, &pool}, dtype) == expected);
      }
    }
  }
}

TEST_CASE("numerics: the types differ in more than their names", "[rollout]") {
  ThreadPool pool(1);
  const Context context{best_isa(), &pool};
  CHECK(rollout_numerics(context, Dtype::float32).substr(8) !=
        rollout_numerics(context, Dtype::bfloat16).substr(9));
}

TEST_CASE("numerics: the probe samples, and from every part of the graph", "[rollout]") {
  bool latent = false, expanded = false, grouped = false, experts = false, dense = false,
       yarn = false;
  for (const ModelConfig& config : numerics_probe_models()) {
    for (const LayerConfig& layer : config.layers) {
      latent |= layer.attention.kind == AttentionKind::mla && layer.attention.q_lora_rank > 0;
      expanded |= layer.attention.mla_prefix == MlaPrefix::expanded;
      grouped |= layer.attention.kind == AttentionKind::gqa && layer.attention.qkv_bias;
      experts |= layer.ffn.kind == FfnKind::moe && layer.ffn.num_shared_experts > 0;
      dense |= layer.ffn.kind == FfnKind::dense;
      yarn |= config.hf_json.find("yarn") != std::string::npos;
      CHECK(config.hidden_size % 16 != 0);
    }
  }
  CHECK((latent && expanded && grouped && experts && dense && yarn));
}

}  // namespace zeroth
