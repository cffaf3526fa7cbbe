// Prompts that a model's chat template makes: of problems when a data set is loaded, and of what a
// user asks a model.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "datasets/problem.h"
#include "policy/prompt_template.h"
#include "rl/prompt_options.h"
#include "tools/options.h"

namespace zeroth {

/// A conversation that a model is to go on with: an object with `messages`, and what else
/// ChatRequest (policy/chat_template.h) knows.
struct Conversation {
  std::string source;  // for errors
  boost::json::object request;
};

/// One message of a user, after one of the system where that is not empty.
Conversation user_conversation(std::string source, const std::string& text,
                               const std::string& system = "");

/// Where prompts are a chat template's and no date is given: the one that `recorded`, a config.toml
/// of the same run, has, or today's. `options` says so, so that the saved configuration has it.
void settle_chat_date(PromptOptions& config, ResolvedOptions& options,
                      const std::filesystem::path& recorded);

/// The prompts of conversations, in order: each ends with the beginning of an answer, or within its
/// last message where that is the assistant's. InputError naming the first that has none, or what
/// of `options` is wrong.
std::vector<std::string> chat_prompts(const PromptOptions& options,
                                      const std::string& model_directory,
                                      const std::vector<Conversation>& conversations);

/// The prompt template of problems; where it is `chat`, the problems get prompts of their own.
/// InputError for a problem that is a conversation where it is not.
PromptTemplate prompts_of_problems(const PromptOptions& options, const std::string& model_directory,
                                   std::initializer_list<std::vector<Problem>*> problems);

}  // namespace zeroth
