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
#include "tools/architectures.h"
#include "tools/commands.h"
#include "tools/options.h"

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

Plan make_plan(const InitConfig& config) {
  Tokenizer tokenizer = make_tokenizer(config.tokenizer);
  boost::json::object json = architecture_config(config.architecture);
  json["vocab_size"] = tokenizer.vocab_size();
  set_token_ids(json, tokenizer);
  std::string text = write_json(json, JsonLayout::indented) + "\n";
  ModelConfig model = parse_model_config(text, config.architecture);
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
  save_weights(weights, directory.path(), /*bf16=*/false);
  directory.commit();
}

}  // namespace

void write_initial_checkpoint(const InitConfig& config) {
  require_no_directory(config.output_dir);
  write_checkpoint(make_plan(config), config);
}

ModelConfig initial_student_config(const std::string& architecture, const ModelConfig& teacher) {
  boost::json::object json = architecture_config(architecture);
  const boost::json::value of_teacher = boost::json::parse(teacher.hf_json);
  json["vocab_size"] = teacher.vocab_size;
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    json.erase(key);
    if (const auto* id = of_teacher.as_object().if_contains(key)) json[key] = *id;
  }
  return parse_model_config(write_json(json, JsonLayout::indented) + "\n", architecture);
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
  const ResolvedOptions options = resolve(
      argc, argv, config,
      {.name = "init", .summary = "write a checkpoint with random weights", .positional = ""});
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  if (options.dry_run) {
    require_no_directory(config.output_dir);
    const Weights weights(make_plan(config).model);
    std::cout << "would write " << weights.num_parameters() << " parameters to "
              << config.output_dir << "\n";
    return kExitDone;
  }
  write_initial_checkpoint(config);
  std::cerr << "wrote " << config.output_dir << "\n";
  return kExitDone;
}

}  // namespace zeroth
