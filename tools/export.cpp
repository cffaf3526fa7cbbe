// zeroth export: a checkpoint for others, as a Hugging Face directory or a GGUF file.

#include <filesystem>
#include <iostream>
#include <map>
#include <string>

#include "kernels/parallel.h"
#include "policy/gguf_model.h"
#include "policy/hf_model.h"
#include "policy/model_config.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/export_options.h"
#include "tools/model_directory.h"
#include "tools/options.h"
#include "tools/printable.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

TensorType hf_type(const std::string& dtype) {
  if (dtype == "f32") return TensorType::f32;
  return dtype == "f16" ? TensorType::f16 : TensorType::bf16;
}

GgufFileType gguf_type(const std::string& dtype) {
  if (dtype == "f32") return GgufFileType::f32;
  if (dtype == "f16") return GgufFileType::f16;
  if (dtype == "q8_0") return GgufFileType::q8_0;
  if (dtype == "q4_0") return GgufFileType::q4_0;
  return dtype == "q4_k_m" ? GgufFileType::q4_k_m : GgufFileType::bf16;
}

/// Where to write: a directory's name may end with a slash, a file's may not.
std::string free_output(const ExportConfig& config) {
  const auto refuse = [&](const char* expected) {
    throw InputError(
        {.source = "--output", .field = "", .expected = expected, .actual = config.output});
  };
  fs::path output = config.output;
  if (!output.has_filename()) {
    if (config.format == "gguf") refuse("the name of a file, since the format gguf is one");
    output = output.parent_path();
  }
  // A link to nothing is something.
  if (fs::exists(fs::symlink_status(output))) refuse("a path where nothing stands yet");
  return output.string();
}

/// The default of several, the text of one, or nothing.
std::string chat_template_in(const JsonReader& config) {
  constexpr const char* kKey = "chat_template";
  if (!config.has(kKey)) return "";
  if (!config.child(kKey).value().is_array()) return config.get_string(kKey);
  for (const JsonReader& entry : config.child(kKey).elements()) {
    if (entry.get_string("name") == "default") return entry.get_string("template");
  }
  return "";
}

std::string chat_template_of(const fs::path& directory) {
  if (fs::exists(directory / "chat_template.jinja")) {
    return read_file(directory / "chat_template.jinja");
  }
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    if (!fs::exists(directory / name)) continue;
    const std::string text = chat_template_in(JsonReader::read(directory / name));
    if (!text.empty()) return text;
  }
  return "";
}

std::string model_name(const ExportConfig& config) {
  if (!config.name.empty()) return config.name;
  return fs::weakly_canonical(config.model_name_or_path).filename().string();
}

/// A checkpoint that is whole, as far as it says so.
const fs::path& verified(const fs::path& directory) {
  if (fs::exists(directory / "SHA256SUMS")) verify_sha256sums(directory);
  return directory;
}

struct Checkpoint {
  explicit Checkpoint(const fs::path& directory)
      : config(read_model_config(verified(directory) / "config.json")),
        weights(load_weights(directory, config)) {}
  ModelConfig config;
  Weights weights;
};

void export_hf(const ExportConfig& config, const Checkpoint& checkpoint) {
  PendingDirectory directory(config.output);
  write_hf_model(directory.path(), checkpoint.config, checkpoint.weights, config.model_name_or_path,
                 {.type = hf_type(config.dtype), .max_shard_bytes = config.max_shard_bytes});
  directory.commit();
}

/// Matrices whose rows are not whole blocks of the type that was asked for.
void report_types(const ExportConfig& config, const GgufModel& model) {
  std::map<std::pair<GgufType, std::int64_t>, std::size_t> counts;
  for (const GgufSource& tensor : model.tensors) {
    const bool f16 = tensor.type == GgufType::f16 && config.dtype.starts_with("q");
    const bool narrow = tensor.type == GgufType::q5_0 || tensor.type == GgufType::q8_0;
    if (f16 || (narrow && config.dtype.starts_with("q4"))) {
      ++counts[{tensor.type, tensor.shape.back()}];
    }
  }
  for (const auto& [group, count] : counts) {
    const std::int64_t block = group.first == GgufType::f16 ? kGgufBlock : kGgufSuperBlock;
    std::cerr << count << (count == 1 ? " matrix is " : " matrices are ")
              << gguf_type_name(group.first) << ": rows of " << group.second
              << " are not whole blocks of " << block << "\n";
  }
}

void export_gguf(const ExportConfig& config, const Checkpoint& checkpoint) {
  const Tokenizer tokenizer = Tokenizer::load(config.model_name_or_path);
  const GgufModel model = gguf_model(checkpoint.config, checkpoint.weights, tokenizer,
                                     {.type = gguf_type(config.dtype),
                                      .name = model_name(config),
                                      .chat_template = chat_template_of(config.model_name_or_path),
                                      .pre = config.tokenizer_pre,
                                      .source = config.model_name_or_path});
  report_types(config, model);
  for (const std::string& warning : model.warnings) {
    std::cerr << "warning: " << printable(warning, "") << "\n";
  }
  ParentDirectories parents(config.output);
  ThreadPool pool;
  write_gguf(config.output, model.metadata, model.tensors, &pool);
  parents.keep();
}

std::uintmax_t size_of(const fs::path& path) {
  if (!fs::is_directory(path)) return fs::file_size(path);
  std::uintmax_t size = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) size += entry.file_size();
  }
  return size;
}

}  // namespace

int run_export(int argc, char** argv) {
  ExportConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "export",
                                           .summary = "write a checkpoint for transformers, vLLM "
                                                      "or llama.cpp",
                                           .positional = "model_name_or_path",
                                           .aliases = {{"type", "dtype"}}});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  config.output = free_output(config);
  const Checkpoint checkpoint(config.model_name_or_path);
  const std::string what = std::to_string(checkpoint.weights.num_parameters()) + " parameters as " +
                           config.format + " " + config.dtype + " to " + config.output;
  if (options.dry_run) {
    std::cout << "would write " << what << "\n";
    return kExitDone;
  }
  if (config.format == "gguf") {
    export_gguf(config, checkpoint);
  } else {
    export_hf(config, checkpoint);
  }
  std::cerr << "wrote " << what << ", " << size_of(config.output) << " bytes\n";
  return kExitDone;
}

}  // namespace zeroth
