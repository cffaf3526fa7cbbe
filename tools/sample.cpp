// zeroth sample: completions of prompts, printed as they are sampled.

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <optional>

#include "rollout/local_engine.h"
#include "system/file.h"
#include "system/json.h"
#include "system/lines.h"
#include "tools/chat_prompts.h"
#include "tools/clock.h"
#include "tools/commands.h"
#include "tools/completion_printer.h"
#include "tools/compute.h"
#include "tools/loaded_policy.h"
#include "tools/model_directory.h"
#include "tools/named_prompt.h"
#include "tools/options.h"
#include "tools/progress.h"
#include "tools/stop.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kSampleStream = 3;
constexpr std::int64_t kDefaultLength = 512;  // tokens

const CommandSyntax kSyntax{.name = "sample",
                            .summary = "completions of a prompt, or of every prompt of a file",
                            .positional = "prompt",
                            .aliases = {{"n", "num_generations"}}};

struct Prompt {
  std::string source;  // for errors: "prompt", "prompts.txt:3"
  std::string text;
  // In place of the text, where it is a conversation.
  boost::json::object conversation = {};
};

std::string standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), {}};
}

Prompt prompt_of_line(const std::string& line, const std::string& source, bool chat) {
  if (!line.starts_with('{')) return {.source = source, .text = line};
  const JsonReader object = JsonReader::parse(line, source);
  if (chat && object.has("messages"))
    return {.source = source, .text = "", .conversation = object.value().as_object()};
  if (chat && object.has("prompt") && object.child("prompt").value().is_array())
    return {.source = source,
            .text = "",
            .conversation = {{"messages", object.child("prompt").value()}}};
  return {.source = source, .text = object.get_string("prompt")};
}

// A file that is one list of messages.
Prompt prompt_of_list(const std::string& text, const std::string& file) {
  return {.source = file,
          .text = "",
          .conversation = {{"messages", JsonReader::parse(text, file).value()}}};
}

std::vector<Prompt> prompts_of_lines(const std::string& text, const std::string& file, bool chat) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (chat && first != std::string::npos && text[first] == '[') return {prompt_of_list(text, file)};
  std::vector<Prompt> prompts;
  for (const TextLine& of_file : lines_of(text)) {
    std::string line(of_file.text);
    if (line.ends_with('\r')) line.pop_back();
    const bool blank = line.find_first_not_of(" \t") == std::string::npos;
    const std::string source = file + ":" + std::to_string(of_file.number);
    if (!blank) prompts.push_back(prompt_of_line(line, source, chat));
  }
  if (prompts.empty()) {
    throw InputError(
        {.source = file, .field = "", .expected = "a prompt a line", .actual = "none"});
  }
  return prompts;
}

std::vector<Prompt> read_prompts(const SampleConfig& config) {
  const bool chat = config.has_chat_prompts();
  if (config.prompts_file == "-") return prompts_of_lines(standard_input(), "standard input", chat);
  if (!config.prompts_file.empty())
    return prompts_of_lines(read_file(config.prompts_file), config.prompts_file, chat);
  if (config.prompt != "-") return {{"prompt", config.prompt}};
  std::string text = standard_input();
  if (text.ends_with('\n')) text.pop_back();
  return {{"standard input", text}};
}

// What a prompt is to the model.
void render(std::vector<Prompt>& prompts, const SampleConfig& config) {
  if (!config.has_chat_prompts()) {
    const PromptTemplate prompt_template = named_prompt(config.prompt_template);
    for (Prompt& prompt : prompts) prompt.text = prompt_template.render(prompt.text);
    return;
  }
  std::vector<Conversation> conversations;
  for (Prompt& prompt : prompts) {
    Conversation conversation{.source = prompt.source, .request = std::move(prompt.conversation)};
    if (conversation.request.empty())
      conversation = user_conversation(prompt.source, prompt.text, config.system);
    conversations.push_back(std::move(conversation));
  }
  const std::vector<std::string> texts =
      chat_prompts(config, config.model_name_or_path, conversations);
  for (std::size_t i = 0; i < prompts.size(); ++i) prompts[i].text = texts[i];
}

std::vector<GenerateRequest> requests_of(const std::vector<Prompt>& prompts,
                                         const LoadedPolicy& policy, std::int64_t num_generations) {
  std::vector<GenerateRequest> requests;
  for (const Prompt& prompt : prompts) {
    GenerateRequest request{.num_generations = num_generations,
                            .problem = static_cast<std::uint32_t>(requests.size())};
    try {
      request.prompt = policy.tokenizer.encode(prompt.text);
    } catch (const InputError& error) {
      InputError::Parts parts = error.parts();
      parts.source = prompt.source;
      throw InputError(std::move(parts));
    }
    const auto tokens = static_cast<std::int64_t>(request.prompt.size());
    const std::int64_t most = policy.config.max_position_embeddings - 1;
    if (tokens < 1 || tokens > most) {
      throw InputError({.source = prompt.source,
                        .field = "",
                        .expected = "1 to " + std::to_string(most) +
                                    " tokens, one less than max_position_embeddings",
                        .actual = std::to_string(tokens)});
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

// Tokens of the longest completion.
std::int64_t max_new_tokens(std::int64_t asked, const std::vector<GenerateRequest>& requests,
                            const ModelConfig& model) {
  std::size_t longest = 0;
  for (const GenerateRequest& request : requests)
    longest = std::max(longest, request.prompt.size());
  const std::int64_t left = model.max_position_embeddings - static_cast<std::int64_t>(longest);
  if (asked == 0) return std::min(kDefaultLength, left);
  if (asked <= left) return asked;
  throw InputError({.source = "",
                    .field = "max_completion_length",
                    .expected = "at most " + std::to_string(left) + ", which the longest prompt (" +
                                std::to_string(longest) +
                                " tokens) leaves of max_position_embeddings (" +
                                std::to_string(model.max_position_embeddings) + ")",
                    .actual = std::to_string(asked)});
}

SamplingParams sampling_of(const SampleConfig& config) {
  return {.temperature = config.temperature,
          .seed = static_cast<std::uint64_t>(config.seed),
          .stream = kSampleStream,
          .top_k = config.top_k,
          .top_p = config.top_p,
          .min_p = config.min_p};
}

// Where the reader of a terminal sees the completions come, they are their own progress.
std::optional<Progress> progress_of(std::int64_t completions, bool on_terminal) {
  if (on_terminal || completions == 1) return std::nullopt;
  return stderr_progress("sample", "completions", completions);
}

int sample(const SampleConfig& config, const ResolvedOptions& options,
           const std::vector<Prompt>& prompts) {
  const Compute compute(config);
  const LoadedPolicy policy(config.model_name_or_path, config.dtype, config.mla_prefix);
  const auto requests = requests_of(prompts, policy, config.num_generations);
  CompletionPrinterConfig printing{.json = config.json,
                                   .prompts = {},
                                   .sampling = sampling_of(config),
                                   .stop_tokens = policy.config.eos_token_ids};
  try {
    printing.sampling.max_new_tokens =
        max_new_tokens(config.max_completion_length, requests, policy.config);
  } catch (const InputError& error) {
    throw with_origin(error, options, kSyntax);
  }
  for (const Prompt& prompt : prompts) printing.prompts.push_back(prompt.text);
  const bool on_terminal = isatty(STDOUT_FILENO) == 1;
  printing.stream = on_terminal && !config.json && config.num_generations == 1;
  const SamplingParams sampling = printing.sampling;
  CompletionPrinter printer(policy.tokenizer, std::move(printing), std::cout);
  auto progress =
      progress_of(static_cast<std::int64_t>(prompts.size()) * config.num_generations, on_terminal);

  const StopRequest stop(0.0, monotonic_seconds);
  LocalEngine engine(compute.context(), policy.packed,
                     {.max_num_seqs = config.max_num_seqs,
                      .on_progress =
                          [&](const GenerationStatistics& statistics) {
                            stop.check();
                            if (progress) progress->update(statistics.finished_completions);
                          },
                      .on_tokens = [&](std::span<const Group> groups) { printer.update(groups); }});
  try {
    engine.generate(requests, sampling);
  } catch (const Interrupted&) {
    printer.interrupt();
    if (progress) progress->finish();
    std::cerr << "zeroth sample: " << stop.reason() << "\n";
    return kExitInterrupted;
  }
  return kExitDone;
}

}  // namespace

int run_sample(int argc, char** argv) {
  SampleConfig config;
  ResolvedOptions options = resolve(argc, argv, config, kSyntax);
  if (!options.help.empty()) {
    std::cout << options.help;
    return kExitDone;
  }
  config.model_name_or_path = model_directory(config.model_name_or_path);
  if (config.chat) config.prompt_template = kChatPrompts;
  settle_chat_date(config, options, {});
  std::vector<Prompt> prompts = read_prompts(config);
  render(prompts, config);
  if (options.dry_run) {
    for (const Prompt& prompt : prompts) std::cout << prompt.text << "\n";
    return kExitDone;
  }
  return sample(config, options, prompts);
}

}  // namespace zeroth
