#include "rewards/host/loaded_plugin.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <new>
#include <vector>

#include "rewards/plugin/plugin_abi.h"

namespace zeroth {
namespace {

constexpr std::uint32_t kErrorSize = 2000;
constexpr std::size_t kGuard = 16;  // scores behind the last that must stay as they are
// A plugin may know no more than this of the struct that it gives.
constexpr std::size_t kLeastStruct = offsetof(zeroth_reward_plugin, create);
// Plugins of ABI 1 begin with that number, where later ones have their size.
constexpr std::uint32_t kFirstAbi = 1;

zeroth_text abi_text(std::string_view text) {
  return {.data = text.data(), .size = text.size()};
}

zeroth_reward_item abi_item(const RewardItem& item) {
  return {.struct_size = sizeof(zeroth_reward_item),
          .finish_reason = item.finish_reason == FinishReason::length ? ZEROTH_FINISH_LENGTH
                                                                      : ZEROTH_FINISH_STOP,
          .prompt = abi_text(item.prompt),
          .completion = abi_text(item.completion),
          .reference = abi_text(item.reference),
          .columns_json = abi_text(item.columns_json),
          .completion_ids = item.completion_ids.data(),
          .num_completion_ids = item.completion_ids.size(),
          .num_tokens = item.num_tokens,
          .max_tokens = item.max_tokens};
}

// Room for a message of the plugin's.
class ErrorText {
 public:
  char* data() { return text_.data(); }
  std::string text() const {
    const std::string text = text_.c_str();
    return text.empty() ? "it gave no reason" : text;
  }

 private:
  std::string text_ = std::string(kErrorSize + 1, '\0');  // the last stays 0
};

[[noreturn]] void refuse(const std::string& file, std::string field, std::string expected,
                         std::string actual) {
  throw InputError({.source = file,
                    .field = std::move(field),
                    .expected = std::move(expected),
                    .actual = std::move(actual)});
}

void check(const zeroth_reward_plugin& plugin, const std::string& file) {
  const bool is_first = plugin.struct_size == kFirstAbi;
  if (is_first ||
      (plugin.struct_size >= 2 * sizeof(std::uint32_t) && plugin.abi != ZEROTH_REWARD_ABI))
    refuse(file, "abi",
           std::to_string(ZEROTH_REWARD_ABI) +
               "; build the plugin with the headers that `zeroth reward new` writes",
           std::to_string(is_first ? kFirstAbi : plugin.abi));
  if (plugin.struct_size < kLeastStruct)
    refuse(file, "struct_size", std::to_string(kLeastStruct) + " bytes at least",
           std::to_string(plugin.struct_size));
  if (plugin.name == nullptr) refuse(file, "name", "a text", "null");
  if (plugin.score == nullptr) refuse(file, "score", "a function", "null");
}

const zeroth_reward_plugin* load(const std::string& file) {
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) refuse(file, "", "a shared object that can be loaded", dlerror());
  using Entry = const zeroth_reward_plugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "zeroth_reward"));
  if (entry == nullptr)
    refuse(file, "zeroth_reward", "an exported C function of plugin_abi.h", "none of that name");
  const zeroth_reward_plugin* plugin = entry();
  if (plugin == nullptr) refuse(file, "zeroth_reward", "a struct zeroth_reward_plugin", "null");
  check(*plugin, file);
  return plugin;
}

// What the plugin makes of its parameters.
void* create(const zeroth_reward_plugin& plugin, const std::string& file,
             const std::string& parameters) {
  const std::string json = parameters.empty() ? "{}" : parameters;
  if (!ZEROTH_HAS(&plugin, create) || plugin.create == nullptr) {
    if (json != "{}") refuse(file, "reward_config", "no parameters, as it takes none", json);
    return nullptr;
  }
  ErrorText error;
  const zeroth_reward_setup setup{.struct_size = sizeof(zeroth_reward_setup),
                                  .error_size = kErrorSize,
                                  .error = error.data(),
                                  .parameters_json = abi_text(json)};
  void* state = nullptr;
  const std::int32_t result = plugin.create(&setup, &state);
  if (result == ZEROTH_OUT_OF_MEMORY)
    refuse(file, "create", "a plugin that begins within its memory", "std::bad_alloc");
  if (result != 0) refuse(file, "reward_config", "parameters that it takes", error.text());
  return state;
}

RewardOutcome outcome_of(double score) {
  if (score == ZEROTH_NOT_APPLICABLE) return {.result = RewardResult::not_applicable};
  return {.result = RewardResult::scored, .score = score};
}

}  // namespace

LoadedPlugin::LoadedPlugin(const std::string& file, const std::string& parameters)
    : plugin_(load(file)), state_(create(*plugin_, file, parameters)) {}

LoadedPlugin::~LoadedPlugin() {
  if (ZEROTH_HAS(plugin_, destroy) && plugin_->destroy != nullptr) plugin_->destroy(state_);
}

std::string LoadedPlugin::name() const {
  return plugin_->name;
}

std::string LoadedPlugin::description() const {
  return plugin_->description == nullptr ? "" : plugin_->description;
}

HostReply LoadedPlugin::call_unguarded(std::span<const RewardItem> items) const {
  std::vector<zeroth_reward_item> list;
  list.reserve(items.size());
  std::vector<const zeroth_reward_item*> pointers;
  pointers.reserve(items.size());
  for (const RewardItem& item : items) pointers.push_back(&list.emplace_back(abi_item(item)));
  // What the plugin does not write is no score; what it writes behind the end is noticed.
  std::vector<double> scores(items.size() + kGuard, std::nan(""));
  ErrorText error;
  const zeroth_reward_batch batch{.struct_size = sizeof(zeroth_reward_batch),
                                  .error_size = kErrorSize,
                                  .error = error.data(),
                                  .items = pointers.data(),
                                  .num_items = pointers.size(),
                                  .scores = scores.data()};
  const std::int64_t count = plugin_->score(state_, &batch);
  if (count == ZEROTH_OUT_OF_MEMORY) throw std::bad_alloc();
  if (count < 0) return {.result = RewardResult::raised, .message = error.text()};
  const bool guard = std::all_of(scores.end() - kGuard, scores.end(),
                                 [](double score) { return std::isnan(score); });
  if (count != static_cast<std::int64_t>(items.size()) || !guard)
    return {.result = RewardResult::wrong_count,
            .message = (guard ? std::to_string(count) : "more") + " scores for " +
                       std::to_string(items.size()) + " items"};
  HostReply reply;
  reply.outcomes.reserve(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) reply.outcomes.push_back(outcome_of(scores[i]));
  return reply;
}

// A plugin in C++ should not let an exception out. One that shares this program's C++ library and
// does is told what it threw.
HostReply LoadedPlugin::call(std::span<const RewardItem> items) const {
  try {
    return call_unguarded(items);
  } catch (const std::bad_alloc&) {
    return {.result = RewardResult::memory, .message = "std::bad_alloc"};
  } catch (const std::exception& error) {
    return {.result = RewardResult::raised,
            .message = std::string("exception: ").append(error.what(), 0, kErrorSize)};
  } catch (...) {
    return {.result = RewardResult::raised, .message = "an exception of an unknown type"};
  }
}

}  // namespace zeroth
