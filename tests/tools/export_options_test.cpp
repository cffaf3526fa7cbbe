#include "tools/export_options.h"

#include <catch2/catch.hpp>
#include <string>

#include "system/error.h"

namespace zeroth {
namespace {

std::string refusal(const ExportConfig& config) {
  try {
    check(config);
  } catch (const InputError& error) {
    return error.what();
  }
  return "taken";
}

ExportConfig of(const std::string& format, const std::string& dtype) {
  ExportConfig config;
  config.model_name_or_path = "in";
  config.output = "out";
  config.format = format;
  config.dtype = dtype;
  return config;
}

}  // namespace

TEST_CASE("export: every type of each format, but q8_0 of hf", "[tools]") {
  for (const char* dtype : {"f32", "f16", "bf16"}) {
    CHECK(refusal(of("hf", dtype)) == "taken");
    CHECK(refusal(of("gguf", dtype)) == "taken");
  }
  CHECK(refusal(of("gguf", "q8_0")) == "taken");
  CHECK(refusal(of("hf", "q8_0")) ==
        "export: dtype: expected f32, f16 or bf16, since the format hf has no q8_0, got q8_0");
}

TEST_CASE("export: without a checkpoint, a place or room there is nothing to do", "[tools]") {
  ExportConfig config = of("hf", "f32");
  config.output = "";
  CHECK(refusal(config) == "export: output: expected where to write, got nothing");
  config = of("hf", "f32");
  config.model_name_or_path = "";
  CHECK(refusal(config) ==
        "export: model_name_or_path: expected the directory of a checkpoint, got nothing");
  config = of("hf", "f32");
  config.max_shard_bytes = 0;
  CHECK(refusal(config) == "export: max_shard_bytes: expected at least 1, got 0");
}

}  // namespace zeroth
