#include "tools/export_options.h"

#include "system/error.h"

namespace zeroth {
namespace {

[[noreturn]] void refuse(const char* field, const std::string& expected,
                         const std::string& actual) {
  throw InputError({.source = "export", .field = field, .expected = expected, .actual = actual});
}

}  // namespace

void check(const ExportConfig& config) {
  if (config.model_name_or_path.empty()) {
    refuse("model_name_or_path", "the directory of a checkpoint", "nothing");
  }
  if (config.output.empty()) refuse("output", "where to write", "nothing");
  if (config.format == "hf" && config.dtype.starts_with("q")) {
    refuse("dtype", "f32, f16 or bf16, since the format hf has no " + config.dtype, config.dtype);
  }
  if (config.max_shard_bytes < 1) {
    refuse("max_shard_bytes", "at least 1", std::to_string(config.max_shard_bytes));
  }
}

}  // namespace zeroth
