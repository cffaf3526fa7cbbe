// What a user sets of one reward of the registry: a plain struct with defaults and one visit_fields
// each, as in rl/config.h, read from the reward's object in reward_config.
//
// A visitor is called as v(key, member, help) and, for a text that must be one of a few words, as
// v(key, member, help, {words…}). Ranges are checked by the reward's factory.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "system/json.h"

namespace zeroth {

/// The configuration of a reward that has nothing to set.
struct NoParameters {};

template <class Visitor>
void visit_fields(Visitor& /*v*/, NoParameters& /*c*/) {}

/// The visitor that fills a configuration. Throws InputError for a value of the wrong type.
class ParameterReader {
 public:
  /// `json` is the object with the parameters of `reward`.
  ParameterReader(std::string_view reward, std::string_view json);

  template <class Value>
  void operator()(std::string_view key, Value& value, std::string_view /*help*/,
                  std::initializer_list<std::string_view> choices = {}) {
    keys_.emplace_back(key);
    if (!object_.has(key)) return;
    read(object_.child(key), value);
    check_choice(key, choices);
  }

  /// InputError with the nearest name and the list for a key that was not asked for.
  void check_keys() const;

 private:
  static void read(const JsonReader& json, bool& value) { value = json.as_bool(); }
  static void read(const JsonReader& json, std::int64_t& value) { value = json.as_int64(); }
  static void read(const JsonReader& json, double& value) { value = json.as_double(); }
  static void read(const JsonReader& json, std::string& value) { value = json.as_string(); }
  static void read(const JsonReader& json, std::vector<std::string>& value);
  static void read(const JsonReader& json, boost::json::value& value) { value = json.value(); }
  void check_choice(std::string_view key, std::initializer_list<std::string_view> choices) const;

  JsonReader object_;
  std::vector<std::string> keys_;
};

/// The parameters of `reward` as `json` sets them; the rest keeps its defaults, as does what is
/// null.
template <class Config>
Config read_parameters(std::string_view reward, std::string_view json) {
  Config config;
  ParameterReader reader(reward, json);
  visit_fields(reader, config);
  reader.check_keys();
  return config;
}

struct RewardParameter {
  std::string key;
  std::string default_json;
  std::string help;
};

/// The visitor that lists what can be set.
class ParameterLister {
 public:
  template <class Value>
  void operator()(std::string_view key, const Value& value, std::string_view help,
                  std::initializer_list<std::string_view> /*choices*/ = {}) {
    parameters_.push_back({std::string(key), write_json(to_json(value)), std::string(help)});
  }
  std::vector<RewardParameter> take() { return std::move(parameters_); }

 private:
  static boost::json::value to_json(const std::vector<std::string>& texts);
  static boost::json::value to_json(const std::string& text);
  template <class Value>
  static boost::json::value to_json(const Value& value) {
    return value;
  }

  std::vector<RewardParameter> parameters_;
};

template <class Config>
std::vector<RewardParameter> list_parameters() {
  Config config;
  ParameterLister lister;
  visit_fields(lister, config);
  return lister.take();
}

/// For factories: InputError for a value of `reward`'s parameter `key` that is out of range.
void require_parameter(bool holds, std::string_view reward, std::string_view key,
                       const std::string& expected, const std::string& actual);
void require_parameter(bool holds, std::string_view reward, std::string_view key,
                       const std::string& expected, double actual);
void require_parameter(bool holds, std::string_view reward, std::string_view key,
                       const std::string& expected, std::int64_t actual);

}  // namespace zeroth
