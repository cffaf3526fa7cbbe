// A reward in C++17 in a few lines, over the C of plugin_abi.h.
//
//   #include <zeroth/plugin.h>
//
//   ZEROTH_REWARD(brevity, "1 for at most `limit` bytes, less for more", "limit") {
//     const double limit = parameters.number("limit", 200);
//     return std::min(1.0, limit / static_cast<double>(item.completion.size()));
//   }
//
// The first word is the reward's name, then come what it does and the names of its parameters. The
// block is given `item` (Item) and `parameters` (Object) and returns a finite number, or
// zeroth::not_applicable. What it throws is caught and becomes the error's text; std::bad_alloc is
// told as what it is. A parameter of another name is refused before the run.
//
// A rule that reads its parameters once, or prepares something, is a class:
//
//   class Brevity {
//    public:
//     explicit Brevity(const zeroth::Parameters& parameters)
//         : limit_(parameters.number("limit", 200)) {}
//     double operator()(const zeroth::Item& item) const;
//   };
//   ZEROTH_REWARD_CLASS(Brevity, "brevity", "1 for at most `limit` bytes, less for more")
//
// Its constructor may throw, which refuses the parameters, and a parameter that it has not asked
// for is refused. A class without such a constructor takes no parameters. Header-only; a shared
// object holds one reward.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "plugin_abi.h"
#include "plugin_json.h"

namespace zeroth {
inline namespace plugin_abi_2 {

/// The score of an item that the reward has nothing to say about: it leaves the weighted sum.
inline constexpr double not_applicable = ZEROTH_NOT_APPLICABLE;

/// Tokens, as a list.
class Tokens {
 public:
  Tokens(const std::int32_t* data, std::size_t size) : data_(data), size_(size) {}
  const std::int32_t* begin() const { return data_; }
  const std::int32_t* end() const { return data_ + size_; }
  std::size_t size() const { return size_; }
  std::int32_t operator[](std::size_t i) const { return data_[i]; }

 private:
  const std::int32_t* data_;
  std::size_t size_;
};

namespace detail {
inline std::string_view view(const zeroth_text& text) {
  return text.size == 0 ? std::string_view() : std::string_view(text.data, text.size);
}
}  // namespace detail

/// One completion. Valid while it is scored.
struct Item {
  explicit Item(const zeroth_reward_item& item)
      : prompt(detail::view(item.prompt)),
        completion(detail::view(item.completion)),
        reference(detail::view(item.reference)),
        columns(detail::view(item.columns_json)),
        completion_ids(item.completion_ids, item.num_completion_ids),
        num_tokens(item.num_tokens),
        max_tokens(item.max_tokens),
        was_cut(item.finish_reason == ZEROTH_FINISH_LENGTH) {}

  std::string_view prompt;      // the question as the policy saw it
  std::string_view completion;  // what the policy wrote
  std::string_view reference;   // the right answer, from the data set
  Object columns;               // of the record, the others
  Tokens completion_ids;        // none where only the text is known
  std::int64_t num_tokens;      // of the completion, the end-of-sequence token included
  std::int64_t max_tokens;      // max_completion_length of the run
  bool was_cut;                 // at max_tokens
};

/// The parameters of the recipe, which remember what was asked for.
class Parameters {
 public:
  explicit Parameters(std::string_view json) : object_(json, "parameter") {}

  bool has(std::string_view name) const { return asked(name).has(name); }
  double number(std::string_view name) const { return asked(name).number(name); }
  double number(std::string_view name, double otherwise) const {
    return asked(name).number(name, otherwise);
  }
  std::int64_t integer(std::string_view name) const { return asked(name).integer(name); }
  std::int64_t integer(std::string_view name, std::int64_t otherwise) const {
    return asked(name).integer(name, otherwise);
  }
  bool boolean(std::string_view name) const { return asked(name).boolean(name); }
  bool boolean(std::string_view name, bool otherwise) const {
    return asked(name).boolean(name, otherwise);
  }
  std::string text(std::string_view name) const { return asked(name).text(name); }
  std::string text(std::string_view name, std::string_view otherwise) const {
    return asked(name).text(name, otherwise);
  }
  std::string_view json(std::string_view name) const { return asked(name).json(name); }
  std::string_view json() const { return object_.json(); }

  /// Error for one that was given and not asked for.
  void check_all_asked() const {
    std::string list;
    for (const std::string& name : asked_) list += (list.empty() ? "" : ", ") + name;
    for (const std::string& name : object_.names()) {
      if (!has_been_asked(name))
        throw Error("parameter " + name + ": expected " +
                    (list.empty() ? "none, as this reward takes none" : "one of " + list));
    }
  }

 private:
  bool has_been_asked(std::string_view name) const {
    for (const std::string& one : asked_)
      if (one == name) return true;
    return false;
  }
  const Object& asked(std::string_view name) const {
    if (!has_been_asked(name)) asked_.emplace_back(name);
    return object_;
  }

  Object object_;
  mutable std::vector<std::string> asked_;
};

namespace detail {

// What ZEROTH_REWARD's block stands in.
class BlockRule {
 protected:
  template <std::size_t size>
  BlockRule(const Parameters& given, const char* const (&texts)[size])
      : json_(given.json()), parameters(json_, "parameter") {
    for (std::size_t i = 1; i < size; ++i) (void)given.has(texts[i]);
  }
  BlockRule(const BlockRule&) = delete;
  BlockRule& operator=(const BlockRule&) = delete;

 private:
  std::string json_;

 protected:
  Object parameters;
};

inline void tell(char* error, std::size_t size, const char* message) {
  if (size == 0) return;
  const std::size_t length = std::min(std::strlen(message), size - 1);
  std::memcpy(error, message, length);
  error[length] = '\0';
}

// What `action` returns; what it throws, as the ABI tells it.
template <class Action>
std::int64_t guarded(char* error, std::size_t size, const Action& action) noexcept {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    return ZEROTH_OUT_OF_MEMORY;
  } catch (const std::exception& exception) {
    tell(error, size, exception.what());
  } catch (...) {
    tell(error, size, "an exception of an unknown type");
  }
  return ZEROTH_FAILED;
}

template <class Rule>
std::unique_ptr<Rule> make_rule(const Parameters& parameters) {
  if constexpr (std::is_constructible_v<Rule, const Parameters&>)
    return std::make_unique<Rule>(parameters);
  else
    return std::make_unique<Rule>();
}

template <class Rule>
std::int32_t create(const zeroth_reward_setup* setup, void** state) noexcept {
  return static_cast<std::int32_t>(guarded(setup->error, setup->error_size, [&]() -> std::int64_t {
    const Parameters parameters(view(setup->parameters_json));
    std::unique_ptr<Rule> rule = make_rule<Rule>(parameters);
    parameters.check_all_asked();
    *state = rule.release();
    return 0;
  }));
}

template <class Rule>
void destroy(void* state) noexcept {
  delete static_cast<Rule*>(state);
}

template <class Rule>
std::int64_t score(void* state, const zeroth_reward_batch* batch) noexcept {
  return guarded(batch->error, batch->error_size, [&]() -> std::int64_t {
    if (!ZEROTH_HAS(batch, scores)) throw Error("a batch that is smaller than its ABI's");
    const Rule& rule = *static_cast<const Rule*>(state);
    for (std::size_t i = 0; i < batch->num_items; ++i)
      batch->scores[i] = static_cast<double>(rule(Item(*batch->items[i])));
    return static_cast<std::int64_t>(batch->num_items);
  });
}

}  // namespace detail
}  // namespace plugin_abi_2
}  // namespace zeroth

#define ZEROTH_REWARD_CLASS(Rule, name, description)                              \
  extern "C" const zeroth_reward_plugin* zeroth_reward() {                        \
    static const zeroth_reward_plugin plugin = {sizeof(zeroth_reward_plugin),     \
                                                ZEROTH_REWARD_ABI,                \
                                                name,                             \
                                                description,                      \
                                                ::zeroth::detail::score<Rule>,    \
                                                ::zeroth::detail::create<Rule>,   \
                                                ::zeroth::detail::destroy<Rule>}; \
    return &plugin;                                                               \
  }

/* After the name: the description, then the names of parameters. */
#define ZEROTH_REWARD(name, ...)                                                                \
  namespace {                                                                                   \
  struct zeroth_rule_##name : ::zeroth::detail::BlockRule {                                     \
    static constexpr const char* texts[] = {__VA_ARGS__};                                       \
    explicit zeroth_rule_##name(const ::zeroth::Parameters& given) : BlockRule(given, texts) {} \
    double operator()(const ::zeroth::Item& item) const;                                        \
  };                                                                                            \
  }                                                                                             \
  ZEROTH_REWARD_CLASS(zeroth_rule_##name, #name, zeroth_rule_##name::texts[0])                  \
  double zeroth_rule_##name::operator()([[maybe_unused]] const ::zeroth::Item& item) const
