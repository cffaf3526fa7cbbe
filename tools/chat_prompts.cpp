#include "tools/chat_prompts.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "policy/chat_template.h"
#include "system/error.h"
#include "system/json.h"
#include "tools/clock.h"
#include "tools/named_prompt.h"
#include "tools/recipe_file.h"

namespace zeroth {
namespace {

namespace json = boost::json;

constexpr std::string_view kDate = "chat_date";
constexpr std::string_view kKwargs = "chat_template_kwargs";

json::object read_kwargs(const PromptOptions& options) {
  const JsonReader kwargs = JsonReader::parse(options.chat_template_kwargs, std::string(kKwargs));
  if (!kwargs.value().is_object()) kwargs.fail("an object of the template's variables");
  return kwargs.value().as_object();
}

// Variables that the conversation brings come before the run's.
void add_kwargs(json::object& request, const json::object& kwargs) {
  if (kwargs.empty()) return;
  json::object all = kwargs;
  if (const json::value* own = request.if_contains(kKwargs); own != nullptr && own->is_object())
    for (const auto& [key, value] : own->get_object()) all[key] = value;
  request[kKwargs] = std::move(all);
}

// Whether the last to speak is the assistant, whose text the model goes on with.
bool is_begun(const json::object& request) {
  const json::value* messages = request.if_contains("messages");
  if (messages == nullptr || !messages->is_array() || messages->get_array().empty()) return false;
  const json::object* last = messages->get_array().back().if_object();
  const json::value* role = last == nullptr ? nullptr : last->if_contains("role");
  return role != nullptr && role->is_string() && role->get_string() == "assistant";
}

std::string request_of(const Conversation& conversation, const json::object& kwargs) {
  json::object request = conversation.request;
  add_kwargs(request, kwargs);
  if (!request.contains("add_generation_prompt") && !request.contains("continue_final_message"))
    request[is_begun(request) ? "continue_final_message" : "add_generation_prompt"] = true;
  return write_json(request);
}

Conversation conversation_of(const Problem& problem) {
  Conversation conversation{.source = "problem " + problem.id, .request = {}};
  if (!problem.is_conversation) return user_conversation(conversation.source, problem.question);
  conversation.request["messages"] = json::parse(problem.question);
  // What belongs to a conversation in a data set, as TRL has it.
  const json::value columns = json::parse(problem.columns_json);
  for (const char* name : {"tools", "documents", "chat_template_kwargs"})
    if (const json::value* value = columns.get_object().if_contains(name))
      conversation.request[name] = *value;
  return conversation;
}

std::string recorded_date(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return "";
  return recipe_text(file, kDate);
}

}  // namespace

Conversation user_conversation(std::string source, const std::string& text,
                               const std::string& system) {
  json::array messages;
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", text}});
  return {.source = std::move(source), .request = {{"messages", std::move(messages)}}};
}

void settle_chat_date(PromptOptions& config, ResolvedOptions& options,
                      const std::filesystem::path& recorded) {
  if (!config.chat_date.empty()) check_chat_date(config.chat_date, std::string(kDate));
  if (!config.has_chat_prompts() || !config.chat_date.empty()) return;
  config.chat_date = recorded_date(recorded);
  const bool found = !config.chat_date.empty();
  if (!found) config.chat_date = local_date();
  for (Setting& setting : options.settings) {
    if (setting.key != kDate) continue;
    setting.value = "\"" + config.chat_date + "\"";
    setting.origin = found ? recorded.string() : "today";
  }
}

std::vector<std::string> chat_prompts(const PromptOptions& options,
                                      const std::string& model_directory,
                                      const std::vector<Conversation>& conversations) {
  const json::object kwargs = read_kwargs(options);
  const std::string& path =
      options.chat_template_path.empty() ? model_directory : options.chat_template_path;
  ChatTemplate chat_template(read_chat_templates(path, model_directory),
                             {.date = options.chat_date.empty() ? local_date() : options.chat_date,
                              .python = options.chat_python});
  std::vector<ChatRequest> requests;
  requests.reserve(conversations.size());
  for (const Conversation& conversation : conversations)
    requests.push_back({.source = conversation.source, .json = request_of(conversation, kwargs)});
  return chat_template.texts(requests);
}

PromptTemplate prompts_of_problems(const PromptOptions& options, const std::string& model_directory,
                                   std::initializer_list<std::vector<Problem>*> problems) {
  std::vector<Problem*> all;
  for (std::vector<Problem>* some : problems)
    for (Problem& problem : *some) all.push_back(&problem);
  if (!options.has_chat_prompts()) {
    const auto found = std::find_if(
        all.begin(), all.end(), [](const Problem* problem) { return problem->is_conversation; });
    if (found == all.end()) return named_prompt(options.prompt_template);
    throw InputError({.source = "prompt_template",
                      .field = "",
                      .expected = "chat, as problem " + (*found)->id + " is a conversation",
                      .actual = options.prompt_template});
  }
  std::vector<Conversation> conversations;
  for (const Problem* problem : all) conversations.push_back(conversation_of(*problem));
  std::vector<std::string> prompts = chat_prompts(options, model_directory, conversations);
  for (std::size_t i = 0; i < all.size(); ++i) all[i]->prompt = std::move(prompts[i]);
  return PromptTemplate::from_text("{question}", "chat");
}

}  // namespace zeroth
