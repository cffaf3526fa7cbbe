#include "tools/inspect_checkpoint.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "kernels/parallel.h"
#include "policy/chat/template_files.h"
#include "policy/families/families.h"
#include "policy/fp8_blocks.h"
#include "policy/safetensors.h"
#include "policy/tokenizer.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/inspect_values.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

// Runs a part of the inspection; what is wrong with it becomes a line of the report.
bool try_part(CheckpointReport& report, const std::function<void()>& part) {
  try {
    part();
    return true;
  } catch (const InputError& error) {
    report.problems.emplace_back(error.what());
    return false;
  }
}

// The type that config.json says the weights have, as safetensors calls it; empty: it says none.
std::string declared_type(const JsonReader& json) {
  const char* key = json.has("dtype") ? "dtype" : "torch_dtype";
  const std::string name = json.get_string(key, "");
  if (name == "float32") return "F32";
  if (name == "bfloat16") return "BF16";
  return name == "float16" ? "F16" : name;
}

void note_types(const JsonReader& json, const SafetensorsCheckpoint& files,
                CheckpointReport& report) {
  const std::string declared = declared_type(json);
  if (declared.empty()) return;
  std::int64_t others = 0;
  std::string example;
  for (const TensorSpec& spec : model_tensors(report.config)) {
    const TensorBytes* tensor = files.find(spec.name).tensor;
    if (tensor == nullptr || is_fp8(tensor->type) || spec.name.ends_with("bias")) continue;
    const std::string type(tensor_type_name(tensor->type));
    if (type == declared) continue;
    if (others++ == 0) example = spec.name + " in " + type;
  }
  if (others > 0) {
    report.notes.push_back("config.json: the weights are said to be " + declared + ", but " +
                           std::to_string(others) + " tensors are not, such as " + example);
  }
}

void add_tensor(const SafetensorsCheckpoint& files, const std::string& name, bool with_values,
                ThreadPool& pool, CheckpointReport& report) {
  const auto found = files.find(name);
  if (found.tensor == nullptr) return;
  TensorReport tensor{.name = name,
                      .dtype = std::string(tensor_type_name(found.tensor->type)),
                      .shape = found.tensor->shape};
  if (with_values) {
    const TensorValues values = read_values(files, name, report.config.fp8_blocks, pool);
    if (values.num_finite > 0) {
      tensor.mean = values.mean;
      tensor.std = values.std;
    }
    if (values.num_not_finite > 0) {
      report.problems.push_back(name + ": " + std::to_string(values.num_not_finite) +
                                " values are not finite");
    }
  }
  report.tensors.push_back(std::move(tensor));
}

void count_types(const SafetensorsCheckpoint& files, CheckpointReport& report) {
  for (const std::string& name : files.names()) {
    const TensorBytes& tensor = *files.find(name).tensor;
    DtypeCount& count = report.dtypes[std::string(tensor_type_name(tensor.type))];
    ++count.tensors;
    count.bytes += static_cast<std::int64_t>(tensor.bytes.size());
  }
}

void list_files(const SafetensorsCheckpoint& files, bool checksums, CheckpointReport& report) {
  std::set<std::string> paths;
  for (const std::string& name : files.names()) paths.insert(*files.find(name).source);
  for (const std::string& path : paths) {
    report.files.push_back({.name = fs::path(path).filename().string(),
                            .bytes = static_cast<std::int64_t>(fs::file_size(path)),
                            .sha256 = checksums ? sha256_hex_of_file(path) : ""});
  }
}

void inspect_weights(const fs::path& directory, const JsonReader& json,
                     const InspectionDepth& depth, CheckpointReport& report) {
  const SafetensorsCheckpoint files(directory);
  count_types(files, report);
  list_files(files, depth.checksums, report);
  std::set<std::string> wrong;
  for (const InputError& problem : tensor_problems(files, report.config)) {
    report.problems.emplace_back(problem.what());
    wrong.insert(problem.parts().field);
  }
  // With fewer tensors than the least that is called for, a list of them all may be too long.
  if (wrong.contains("")) return;
  ThreadPool pool;
  std::set<std::string> listed;
  for (const TensorSpec& spec : model_tensors(report.config)) {
    const bool is_right = !wrong.contains(spec.name) && !wrong.contains(spec.name + ".dtype") &&
                          !wrong.contains(scale_name(spec.name)) &&
                          !wrong.contains(scale_name(spec.name) + ".dtype");
    add_tensor(files, spec.name, depth.values && is_right, pool, report);
    listed.insert(spec.name);
  }
  for (const std::string& name : files.names()) {
    if (!listed.contains(name)) add_tensor(files, name, false, pool, report);
  }
  note_types(json, files, report);
}

void inspect_tokenizer(const fs::path& directory, CheckpointReport& report) {
  if (!fs::exists(directory / "tokenizer.json")) {
    report.notes.emplace_back("tokenizer.json: there is none");
    return;
  }
  const Tokenizer tokenizer = Tokenizer::load(directory);
  report.tokenizer_size = tokenizer.vocab_size();
  const std::string source = (directory / "tokenizer.json").string();
  const auto refuse = [&](const std::string& field, const std::string& expected,
                          const std::string& actual) {
    report.problems.emplace_back(
        InputError({.source = source, .field = field, .expected = expected, .actual = actual})
            .what());
  };
  const std::vector<std::int64_t>& eos = report.config.eos_token_ids;
  if (report.tokenizer_size > report.config.vocab_size) {
    refuse("", "at most vocab_size (" + std::to_string(report.config.vocab_size) + ") tokens",
           std::to_string(report.tokenizer_size));
  }
  for (const std::int64_t id : eos) {
    if (id >= report.tokenizer_size || tokenizer.spelling(static_cast<std::int32_t>(id)).empty())
      refuse("", "a token for eos_token_id " + std::to_string(id) + " of config.json", "none");
  }
  if (eos.empty())
    report.notes.emplace_back("config.json: no eos_token_id: completions do not end");
  if (!eos.empty() && tokenizer.eos_id() &&
      std::find(eos.begin(), eos.end(), *tokenizer.eos_id()) == eos.end()) {
    report.notes.push_back("tokenizer_config.json: eos_token is " +
                           std::to_string(*tokenizer.eos_id()) +
                           ", which is no eos_token_id of config.json");
  }
}

std::vector<std::int64_t> ids_in(const JsonReader& json, const char* key) {
  std::vector<std::int64_t> ids;
  if (!json.has(key)) return ids;
  const JsonReader value = json.child(key);
  if (!value.value().is_array()) return {value.as_int64()};
  for (const JsonReader& id : value.elements()) ids.push_back(id.as_int64());
  return ids;
}

void check_ids(const JsonReader& json, const char* key, const CheckpointReport& report) {
  for (const std::int64_t id : ids_in(json, key)) {
    if (id < 0 || id >= report.config.vocab_size) {
      json.fail(key,
                "a token id below vocab_size (" + std::to_string(report.config.vocab_size) + ")");
    }
  }
}

void inspect_generation_config(const fs::path& directory, CheckpointReport& report) {
  const fs::path file = directory / "generation_config.json";
  if (!fs::exists(file)) return;
  const JsonReader json = JsonReader::read(file);
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
    check_ids(json, key, report);
  std::vector<std::int64_t> ids = ids_in(json, "eos_token_id");
  std::vector<std::int64_t> eos = report.config.eos_token_ids;
  std::sort(ids.begin(), ids.end());
  std::sort(eos.begin(), eos.end());
  if (!ids.empty() && ids != eos) {
    report.notes.push_back("generation_config.json: eos_token_id " + describe_shape(ids) +
                           " is not config.json's " + describe_shape(eos));
  }
}

void inspect_chat_templates(const fs::path& directory, CheckpointReport& report) {
  try {
    for (const auto& [name, text] : read_chat_templates(directory).named) {
      const std::string file = fs::path(text.source).filename().string();
      report.chat_templates.push_back(name + ": " + file +
                                      (text.field.empty() ? "" : ", " + text.field));
    }
  } catch (const InputError& error) {
    const bool is_none =
        error.parts().field == "chat_template" && error.parts().source == directory.string();
    if (!is_none) throw;
  }
}

void inspect_config(const JsonReader& json, CheckpointReport& report) {
  check_ids(json, "pad_token_id", report);
  const ModelFamily* family = find_model_family(report.config.model_type);
  if (family == nullptr || !json.has("architectures")) return;
  for (const JsonReader& name : json.child("architectures").elements()) {
    if (name.as_string() == family->architecture) continue;
    report.notes.push_back("config.json: architectures has " + name.as_string() + ", not " +
                           std::string(family->architecture) + ", as " + report.config.model_type +
                           " has");
  }
}

}  // namespace

CheckpointReport inspect_checkpoint(const fs::path& directory, const InspectionDepth& depth) {
  CheckpointReport report;
  const fs::path config_file = directory / "config.json";
  report.config_json = read_file(config_file);
  report.config = parse_model_config(report.config_json, config_file.string());
  const JsonReader json = JsonReader::parse(report.config_json, config_file.string());
  report.parameters = count_parameters(report.config);
  if (fs::exists(directory / "SHA256SUMS")) {
    report.checksums = "not read";
    if (depth.values) {
      const bool right = try_part(report, [&] { verify_sha256sums(directory); });
      report.checksums = right ? "verified" : "wrong";
    }
  }
  try_part(report, [&] { inspect_config(json, report); });
  try_part(report, [&] { inspect_weights(directory, json, depth, report); });
  try_part(report, [&] { inspect_tokenizer(directory, report); });
  try_part(report, [&] { inspect_generation_config(directory, report); });
  try_part(report, [&] { inspect_chat_templates(directory, report); });
  return report;
}

}  // namespace zeroth
