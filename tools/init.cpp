// zeroth init: a checkpoint with random weights.
#include "tools/init.h"

#include <boost/json.hpp>
#include <filesystem>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>

#include "policy/model_config.h"
#include "policy/tokenizer.h"
#include "policy/weights.h"
#include "rl/checkpoint.h"
#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/commands.h"
#include "tools/memory_plan.h"
#include "tools/options.h"
#include "tools/presets.h"

namespace zeroth {
namespace {

/// A tokenizer.json, or the directory that holds one.
bool is_tokenizer_path(const std::filesystem::path& name) {
  return std::filesystem::is_regular_file(name / "tokenizer.json") ||
         (name.extension() == ".json" && std::filesystem::is_regular_file(name));
}

Tokenizer load_tokenizer(const std::string& path) {
  Tokenizer tokenizer = Tokenizer::load(path);
  if (!tokenizer.eos_id()) {
    throw InputError({.source = path,
                      .field = "eos_token",
                      .expected = "a token that ends completions, in tokenizer_config.json",
                      .actual = "none"});
  }
  return tokenizer;
}

Tokenizer make_tokenizer(const std::string& name) {
  if (is_tokenizer_path(name)) return load_tokenizer(name);
  ByteLevelOptions options;
  if (name != "byte") options.alphabet = name;
  try {
    return Tokenizer::byte_level(options);
  } catch (const std::invalid_argument& error) {
    throw InputError({.source = "--tokenizer",
                      .field = "",
                      .expected =
                          "byte, the characters that are one token each, or a tokenizer.json "
                          "or its directory",
                      .actual = "\"" + name + "\" (" + error.what() + ")"});
  }
}

void set_token_ids(boost::json::object& json, const Tokenizer& tokenizer) {
  const auto set = [&](const char* key, std::optional<std::int32_t> id) {
    if (id) {
      json[key] = *id;
    } else {
      json.erase(key);
    }
  };
  set("bos_token_id", tokenizer.bos_id());
  set("eos_token_id", tokenizer.eos_id());
  set("pad_token_id", tokenizer.pad_id());
}

void require_no_directory(const std::string& directory) {
  if (std::filesystem::exists(directory)) {
    throw InputError({.source = "--output_dir",
                      .field = "",
                      .expected = "a directory that is not there yet",
                      .actual = directory});
  }
}

// What the checkpoint will be, before anything is written.
struct Plan {
  Tokenizer tokenizer;
  std::string config_json;
  ModelConfig model;
};

/// The tokenizer's, but for a published model, whose table of embeddings may be longer, as it is
/// where it is published.
void set_vocab_size(boost::json::object& json, const Tokenizer& tokenizer,
                    const InitConfig& config) {
  const bool is_longer = is_published_preset(config.preset) &&
                         json.at("vocab_size").as_int64() >= tokenizer.vocab_size();
  if (!is_longer) json["vocab_size"] = tokenizer.vocab_size();
}

void set_dtype(boost::json::object& json, const InitConfig& config) {
  if (json.contains("dtype")) json["dtype"] = config.dtype;
  json["torch_dtype"] = config.dtype;
}

Plan make_plan(const InitConfig& config) {
  Tokenizer tokenizer = make_tokenizer(config.tokenizer);
  boost::json::object json = preset_config(config.preset);
  json.erase("quantization_config");
  set_vocab_size(json, tokenizer, config);
  set_token_ids(json, tokenizer);
  set_dtype(json, config);
  std::string text = write_json(json, JsonLayout::indented) + "\n";
  ModelConfig model = parse_model_config(text, config.preset);
  return {std::move(tokenizer), std::move(text), std::move(model)};
}

void write_checkpoint(const Plan& plan, const InitConfig& config) {
  Weights weights(plan.model);
  initialize_weights(weights, plan.model, static_cast<std::uint64_t>(config.seed));
  boost::json::object generation = {{"do_sample", true}, {"temperature", 1.0}};
  set_token_ids(generation, plan.tokenizer);

  PendingDirectory directory(config.output_dir);
  write_file_atomically(directory.path() / "config.json", plan.config_json);
  write_file_atomically(directory.path() / "generation_config.json",
                        write_json(generation, JsonLayout::indented) + "\n");
  plan.tokenizer.save(directory.path());
  save_weights(weights, directory.path(), config.dtype == "bfloat16");
  directory.commit();
}

std::int64_t file_bytes(const Plan& plan, const InitConfig& config) {
  return count_parameters(plan.model).total * (config.dtype == "bfloat16" ? 2 : 4);
}

/// InputError with what the model takes where the memory or the disk has not that much.
void require_room(const Plan& plan, const InitConfig& config) {
  require_memory(plan_init(plan.model), "preset " + config.preset);
  std::filesystem::path existing = std::filesystem::absolute(config.output_dir).parent_path();
  while (!std::filesystem::exists(existing)) existing = existing.parent_path();
  const std::int64_t bytes = file_bytes(plan, config);
  const std::uintmax_t room = std::filesystem::space(existing).available;
  if (static_cast<std::uintmax_t>(bytes) <= room) return;
  throw InputError({.source = "--output_dir",
                    .field = "",
                    .expected = "room for " + std::to_string(bytes) + " bytes of weights",
                    .actual = std::to_string(room) + " bytes in " + existing.string()});
}

void print_plan(const Plan& plan, const InitConfig& config) {
  const ParameterCounts counts = count_parameters(plan.model);
  std::cout << "would write " << counts.total << " parameters to " << config.output_dir << "\n"
            << "active for a token: " << counts.active;
  if (!plan.model.tie_word_embeddings) {
    std::cout << ", " << counts.active - counts.embedding << " without the embedding table";
  }
  std::cout << "\nvocabulary: " << plan.model.vocab_size << ", of which the tokenizer has "
            << plan.tokenizer.vocab_size() << "\nfile: " << file_bytes(plan, config) << " bytes, "
            << config.dtype << "\nmemory:\n"
            << describe(plan_init(plan.model));
}

}  // namespace

void write_initial_checkpoint(const InitConfig& config) {
  require_no_directory(config.output_dir);
  const Plan plan = make_plan(config);
  require_room(plan, config);
  write_checkpoint(plan, config);
}

ModelConfig initial_student_config(const std::string& preset, const ModelConfig& teacher) {
  boost::json::object json = preset_config(preset);
  const boost::json::value of_teacher = boost::json::parse(teacher.hf_json);
  json["vocab_size"] = teacher.vocab_size;
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    json.erase(key);
    if (const auto* id = of_teacher.as_object().if_contains(key)) json[key] = *id;
  }
  return parse_model_config(write_json(json, JsonLayout::indented) + "\n", preset);
}

void write_initial_student(const ModelConfig& student,
                           const std::filesystem::path& teacher_directory, std::uint64_t seed,
                           const std::filesystem::path& output_dir) {
  Weights weights(student);
  initialize_weights(weights, student, seed);
  save_model(output_dir, student, weights, teacher_directory);
}

int run_init(int argc, char** argv) {
  InitConfig config;
  const ResolvedOptions options = resolve(argc, argv, config,
                                          {.name = "init",
                                           .summary = "write a checkpoint with random weights",
                                           .positional = "",
                                           .aliases = {{"architecture", "preset"}}});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  if (options.dry_run) {
    require_no_directory(config.output_dir);
    print_plan(make_plan(config), config);
    return kExitDone;
  }
  write_initial_checkpoint(config);
  std::cerr << "wrote " << config.output_dir << "\n";
  return kExitDone;
}

}  // namespace zeroth
