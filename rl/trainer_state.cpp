#include "rl/trainer_state.h"

#include <boost/json.hpp>
#include <stdexcept>
#include <string_view>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

boost::json::value parse_extra(const std::string& text) {
  boost::system::error_code error;
  boost::json::value extra = boost::json::parse(text, error);
  if (error || !extra.is_object()) {
    throw std::invalid_argument("write_trainer_state: extra_json must be a JSON object");
  }
  return extra;
}

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
  json["config_sha256"] = state.config_sha256;
  json["extra"] = parse_extra(state.extra_json);
  return write_json(json, JsonLayout::indented) + "\n";
}

TrainerState read_trainer_state(const std::filesystem::path& directory) {
  const JsonReader json = JsonReader::read(directory / "trainer_state.json");
  const JsonReader extra = json.child("extra");
  if (!extra.value().is_object()) extra.fail("an object");
  return {.step = get_count(json, "step"),
          .num_tokens = get_count(json, "num_tokens"),
          .command = json.get_string("command"),
          .seed = get_uint64(json, "seed"),
          .num_updates = get_uint64(json, "num_updates"),
          .config_sha256 = json.get_string("config_sha256"),
          .extra_json = write_json(extra.value())};
}

}  // namespace zeroth
