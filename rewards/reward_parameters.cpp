#include "rewards/reward_parameters.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/string.hpp>

#include "system/error.h"
#include "system/nearest_name.h"

namespace zeroth {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// As it stands in reward_config, so that errors name the whole path of keys.
JsonReader parameters_of(std::string_view reward, std::string_view json) {
  const std::string name = write_json(boost::json::string(reward));
  const JsonReader all =
      JsonReader::parse("{" + name + ":" + std::string(json) + "}", "reward_config");
  const JsonReader parameters = all.child(reward);
  if (!parameters.value().is_object()) parameters.fail("an object of parameters");
  return parameters;
}

}  // namespace

ParameterReader::ParameterReader(std::string_view reward, std::string_view json)
    : object_(parameters_of(reward, json)) {}

void ParameterReader::read(const JsonReader& json, std::vector<std::string>& value) {
  value.clear();
  for (const JsonReader& element : json.elements()) value.push_back(element.as_string());
}

void ParameterReader::check_choice(std::string_view key,
                                   std::initializer_list<std::string_view> choices) const {
  if (choices.size() == 0) return;
  const std::string actual = object_.get_string(key);
  if (std::find(choices.begin(), choices.end(), actual) != choices.end()) return;
  object_.fail(key, "one of " + joined({choices.begin(), choices.end()}));
}

void ParameterReader::check_keys() const {
  for (const std::string& key : object_.keys()) {
    if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) continue;
    throw InputError({.source = object_.source(),
                      .field = object_.path(),
                      .expected = keys_.empty() ? "no parameters"
                                                : "only " + joined(keys_) + "; nearest is " +
                                                      nearest_name(key, keys_),
                      .actual = key});
  }
}

boost::json::value ParameterLister::to_json(const std::vector<std::string>& texts) {
  return boost::json::array(texts.begin(), texts.end());
}

boost::json::value ParameterLister::to_json(const std::string& text) {
  return boost::json::string(text);
}

void require_parameter(bool holds, std::string_view reward, std::string_view key,
                       const std::string& expected, const std::string& actual) {
  if (holds) return;
  throw InputError({.source = "reward_config",
                    .field = std::string(reward) + "." + std::string(key),
                    .expected = expected,
                    .actual = actual});
}

void require_parameter(bool holds, std::string_view reward, std::string_view key,
                       const std::string& expected, double actual) {
  if (!holds) require_parameter(false, reward, key, expected, json_number(actual));
}

void require_parameter(bool holds, std::string_view reward, std::string_view key,
                       const std::string& expected, std::int64_t actual) {
  if (!holds) require_parameter(false, reward, key, expected, std::to_string(actual));
}

}  // namespace zeroth
