#include "tools/distill_check.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "policy/tokenizer.h"
#include "policy/weights.h"
#include "rl/prompt_lengths.h"
#include "rl/training_options.h"
#include "system/error.h"
#include "tools/init.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

// A checkpoint without what is large.
struct Model {
  Model(const fs::path& from, const std::string& mla_prefix)
      : directory(from),
        config(read_model_config(from / "config.json", parse_mla_prefix(mla_prefix))),
        tokenizer(Tokenizer::load(from)) {
    load_weights(from, config);
  }
  fs::path directory;
  ModelConfig config;
  Tokenizer tokenizer;
};

bool is_inside(const fs::path& path, const fs::path& directory) {
  const fs::path relative =
      fs::weakly_canonical(path).lexically_relative(fs::weakly_canonical(directory));
  return !relative.empty() && *relative.begin() != "..";
}

// What is read may not be what is written.
void check_places(const DistillOptions& options) {
  for (const auto& [key, path] :
       {std::pair("teacher_model_name_or_path", options.teacher_model_name_or_path),
        std::pair("base_model_name_or_path", options.base_model_name_or_path),
        std::pair("student", options.student)}) {
    if (path.empty() || !fs::exists(path)) continue;
    for (const char* written : {"student", "student-init", "student-run", "student-run.previous"}) {
      const fs::path directory = fs::path(options.output_dir) / written;
      if (!is_inside(path, directory)) continue;
      throw InputError({.source = key,
                        .field = "",
                        .expected = "a checkpoint outside of " + directory.string() +
                                    ", which this run writes anew (another output_dir, or a copy)",
                        .actual = path});
    }
  }
}

// Names the first token that is not the same in spelling and kind.
void check_same_tokens(const Model& teacher, const Model& student) {
  const auto describe = [](const Tokenizer& tokenizer, std::size_t id) {
    std::string text = std::to_string(tokenizer.vocab_size()) + " tokens";
    if (id >= tokenizer.tokens().size()) return text;
    const Tokenizer::Token& token = tokenizer.tokens()[id];
    text += ", token " + std::to_string(id) + " being \"" + token.spelling + "\"";
    for (const auto& [is_so, kind] :
         {std::pair(token.added, "added"), std::pair(token.special, "special"),
          std::pair(token.normalized, "normalized")})
      text += is_so ? std::string(", ") + kind : "";
    return text;
  };
  const auto same = [](const Tokenizer::Token& a, const Tokenizer::Token& b) {
    return a.spelling == b.spelling && a.added == b.added && a.special == b.special &&
           a.normalized == b.normalized;
  };
  const std::vector<Tokenizer::Token>& expected = teacher.tokenizer.tokens();
  const std::vector<Tokenizer::Token>& actual = student.tokenizer.tokens();
  const auto [part, unused] =
      std::mismatch(expected.begin(), expected.end(), actual.begin(), actual.end(), same);
  if (part == expected.end() && unused == actual.end()) return;
  const auto id = static_cast<std::size_t>(part - expected.begin());
  throw InputError({.source = (student.directory / "tokenizer.json").string(),
                    .field = "model.vocab",
                    .expected = "the tokens of the teacher " + teacher.directory.string() + " (" +
                                describe(teacher.tokenizer, id) + "), whose ids are trained on",
                    .actual = describe(student.tokenizer, id)});
}

// The same text has to become the same ids: the student is evaluated on prompts of its own. A
// normalizer is none and a pre-tokenizer is the one that Tokenizer reads, in both.
void check_same_merges(const Model& teacher, const Model& student) {
  const auto expected = teacher.tokenizer.merges();
  const auto actual = student.tokenizer.merges();
  const auto [part, other] =
      std::mismatch(expected.begin(), expected.end(), actual.begin(), actual.end());
  if (part == expected.end() && other == actual.end()) return;
  const auto describe = [&](const auto& merges, auto at) {
    std::string text = std::to_string(merges.size()) + " merges";
    if (at == merges.end()) return text;
    return text + ", merge " + std::to_string(at - merges.begin()) + " being \"" +
           teacher.tokenizer.spelling(at->first) + "\" \"" +
           teacher.tokenizer.spelling(at->second) + "\"";
  };
  throw InputError({.source = (student.directory / "tokenizer.json").string(),
                    .field = "model.merges",
                    .expected = "those of the teacher " + teacher.directory.string() + " (" +
                                describe(expected, part) + ")",
                    .actual = describe(actual, other)});
}

// The teacher's traces end with its end-of-sequence tokens: a student with others never stops.
void check_same_end(const Model& teacher, const Model& student) {
  const auto ids_of = [](const Model& model) {
    std::vector<std::int64_t> ids = model.config.eos_token_ids;
    std::sort(ids.begin(), ids.end());
    std::string text;
    for (const std::int64_t id : ids) text += (text.empty() ? "" : ", ") + std::to_string(id);
    return text.empty() ? "none" : text;
  };
  if (ids_of(teacher) == ids_of(student)) return;
  throw InputError(
      {.source = (student.directory / "config.json").string(),
       .field = "eos_token_id",
       .expected = ids_of(teacher) + ", as the teacher " + teacher.directory.string() + " has",
       .actual = ids_of(student)});
}

void check_student(const DistillOptions& options, const Model& teacher, const DistillData& data) {
  const ModelConfig config = student_config(options, teacher.config);
  if (fs::is_directory(options.student)) {
    const Model student(options.student, "absorbed");
    check_same_tokens(teacher, student);
    check_same_merges(teacher, student);
    check_same_end(teacher, student);
  }
  if (options.kd_weight > 0.0 && config.vocab_size != teacher.config.vocab_size) {
    throw InputError({.source = options.student,
                      .field = "vocab_size",
                      .expected = std::to_string(teacher.config.vocab_size) +
                                  ", the teacher's, where kd_weight is above 0",
                      .actual = std::to_string(config.vocab_size)});
  }
  check_prompt_lengths(test_source(options), data.test, data.prompt_template, teacher.tokenizer,
                       config, options.max_completion_length);
}

}  // namespace

ModelConfig student_config(const DistillOptions& options, const ModelConfig& teacher) {
  if (fs::is_directory(options.student))
    return read_model_config(fs::path(options.student) / "config.json");
  try {
    return initial_student_config(options.student, teacher);
  } catch (const InputError& error) {
    InputError::Parts parts = error.parts();
    if (parts.source != "--preset") throw;
    parts.source = "student";
    parts.expected = "the directory of a checkpoint, or " + parts.expected;
    throw InputError(std::move(parts));
  }
}

void check_models(const DistillOptions& options, const DistillData& data) {
  check_places(options);
  const Model teacher(options.teacher_model_name_or_path, options.mla_prefix);
  const auto check_lengths = [&](const Model& model, const std::string& source,
                                 const std::vector<Problem>& problems) {
    check_prompt_lengths(source, problems, data.prompt_template, model.tokenizer, model.config,
                         options.max_completion_length);
  };
  check_lengths(teacher, options.dataset_name, data.train);
  check_lengths(teacher, test_source(options), data.test);
  check_student(options, teacher, data);
  if (!options.base_model_name_or_path.empty())
    check_lengths(Model(options.base_model_name_or_path, options.mla_prefix), test_source(options),
                  data.test);
}

}  // namespace zeroth
