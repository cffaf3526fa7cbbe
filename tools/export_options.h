// What zeroth export is asked for.
#pragma once

#include <cstdint>
#include <string>

namespace zeroth {

struct ExportConfig {
  std::string model_name_or_path;
  std::string format = "hf";
  std::string dtype = "bf16";
  std::string output;
  std::string name;
  std::string tokenizer_pre;
  std::int64_t max_shard_bytes = 5'000'000'000;
};

template <class Visitor>
void visit_fields(Visitor& v, ExportConfig& c) {
  v("model_name_or_path", c.model_name_or_path, "directory of the checkpoint");
  v("format", c.format, "hf = a directory for transformers and vLLM, gguf = a file for llama.cpp",
    {"hf", "gguf"});
  v("dtype", c.dtype,
    "type of the matrices; norms and biases of a GGUF file stay f32; q8_0, q4_0 and q4_k_m (a mix "
    "of q4_k and q6_k) are for gguf; --type is the same",
    {"f32", "f16", "bf16", "q8_0", "q4_0", "q4_k_m"});
  v("output", c.output, "directory (hf) or file (gguf) to write; must not be there");
  v("name", c.name, "general.name of a GGUF file; empty = the checkpoint's directory");
  v("tokenizer_pre", c.tokenizer_pre,
    "what cuts texts in llama.cpp (tokenizer.ggml.pre of a GGUF file); empty = the one with the "
    "tokenizer's own expression");
  v("max_shard_bytes", c.max_shard_bytes,
    "bytes of one weights file of hf; larger models have many");
}

/// InputError naming the key.
void check(const ExportConfig& config);

}  // namespace zeroth
