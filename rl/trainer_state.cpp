#include "rl/trainer_state.h"

#include <boost/json.hpp>
#include <stdexcept>
#include <string_view>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

std::uint64_t get_uint64(const JsonReader& state, std::string_view key) {
  const JsonReader child = state.child(key);
  const boost::json::value& value = child.value();
  if (value.is_uint64()) return value.get_uint64();
  if (!value.is_int64() || value.get_int64() < 0) child.fail("an integer from 0 to 2^64 - 1");
  return static_cast<std::uint64_t>(value.get_int64());
}

std::int64_t get_count(const JsonReader& state, std::string_view key) {
  const std::int64_t count = state.get_int64(key);
  if (count < 0) state.fail(key, "an integer that is not negative");
  return count;
}

}  // namespace

std::string write_trainer_state(const TrainerState& state) {
  if (state.step < 0 || state.num_tokens < 0) {
    throw std::invalid_argument("write_trainer_state: step and num_tokens must not be negative");
  }
  boost::json::object json;
  json["command"] = state.command;
  json["step"] = state.step;
  json["num_tokens"] = state.num_tokens;
  json["seed"] = state.seed;
  json["num_updates"] = state.num_updates;
  if (state.evaluation_due) json["evaluation_due"] = true;
  boost::json::object& settings = json["settings"].emplace_object();
  for (const auto& [key, value] : state.settings) settings[key] = value;
  return write_json(json, JsonLayout::indented) + "\n";
}

TrainerState read_trainer_state(const std::filesystem::path& directory) {
  const JsonReader json = JsonReader::read(directory / "trainer_state.json");
  const JsonReader values = json.child("settings");
  if (!values.value().is_object()) values.fail("an object of texts");
  RunSettings settings;
  for (const std::string& key : values.keys()) settings.emplace_back(key, values.get_string(key));
  return {.step = get_count(json, "step"),
          .num_tokens = get_count(json, "num_tokens"),
          .command = json.get_string("command"),
          .seed = get_uint64(json, "seed"),
          .num_updates = get_uint64(json, "num_updates"),
          .evaluation_due = json.get_bool("evaluation_due", false),
          .settings = std::move(settings)};
}

}  // namespace zeroth
