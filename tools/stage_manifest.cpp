#include "tools/stage_manifest.h"

#include <exception>
#include <optional>

#include "system/error.h"
#include "system/file.h"
#include "system/json.h"
#include "tools/clock.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

boost::json::object inputs_json(const RunSettings& inputs) {
  boost::json::object json;
  for (const auto& [key, value] : inputs) json[key] = value;
  return json;
}

RunSettings inputs_of(const boost::json::object& entry) {
  RunSettings inputs;
  for (const auto& [key, value] : entry.at("inputs").as_object())
    inputs.emplace_back(key, std::string(value.as_string()));
  return inputs;
}

// Every key that the other members read, with its type.
void check_entry(const JsonReader& entry) {
  entry.get_bool("finished");
  entry.get_double("seconds");
  const auto object = [&](const char* key) {
    const JsonReader child = entry.child(key);
    if (!child.value().is_object()) child.fail("an object");
    return child;
  };
  object("outputs");
  for (const char* key : {"inputs", "files"}) {
    const JsonReader child = object(key);
    for (const std::string& name : child.keys()) child.get_string(name);
  }
}

}  // namespace

StageManifest::StageManifest(fs::path directory, Note note)
    : directory_(std::move(directory)), note_(std::move(note)) {
  const fs::path file = directory_ / "manifest.json";
  if (!fs::exists(file)) return;
  try {
    const JsonReader json = JsonReader::read(file);
    const JsonReader stages = json.child("stages");
    for (const std::string& stage : stages.keys()) check_entry(stages.child(stage));
    stages_ = stages.value().as_object();
  } catch (const InputError& error) {
    note_(std::string(error.what()) + "; the manifest is made anew");
  }
}

const boost::json::object* StageManifest::find(const std::string& stage) const {
  const boost::json::value* entry = stages_.if_contains(stage);
  return entry == nullptr ? nullptr : &entry->as_object();
}

bool StageManifest::begun(const std::string& stage, const RunSettings& inputs) const {
  const boost::json::object* entry = find(stage);
  return entry != nullptr && !first_difference(inputs, inputs_of(*entry));
}

const boost::json::object* StageManifest::finished(const std::string& stage,
                                                   const RunSettings& inputs) const {
  const boost::json::object* entry = find(stage);
  if (entry == nullptr) return nullptr;
  if (const auto difference = first_difference(inputs, inputs_of(*entry))) {
    note_(stage + ": " + difference->key + " was " + difference->actual + " and is " +
          difference->expected + "; done again");
    return nullptr;
  }
  if (!entry->at("finished").as_bool()) return nullptr;
  for (const auto& [name, sha256] : entry->at("files").as_object()) {
    const fs::path file = directory_ / std::string_view(name);
    if (fs::exists(file) && sha256_hex_of_file(file) == sha256.as_string()) continue;
    note_(stage + ": " + file.string() + (fs::exists(file) ? " was changed" : " is gone") +
          "; done again");
    return nullptr;
  }
  return &entry->at("outputs").as_object();
}

const boost::json::object& StageManifest::run(const std::string& stage, const RunSettings& inputs,
                                              const std::vector<std::string>& files,
                                              const std::function<boost::json::object()>& work) {
  if (const boost::json::object* outputs = finished(stage, inputs)) {
    note_(stage + ": is there");
    return *outputs;
  }
  begin(stage, inputs);
  const double start = monotonic_seconds();
  try {
    boost::json::object outputs = work();
    return finish(stage, std::move(outputs), files, monotonic_seconds() - start);
  } catch (...) {
    const std::exception_ptr reason = std::current_exception();
    try {
      pause(stage, monotonic_seconds() - start);
    } catch (const std::exception& error) {
      // Why the stage ended is worth more than that its seconds were lost.
      note_(stage + ": its seconds could not be kept: " + error.what());
    }
    std::rethrow_exception(reason);
  }
}

boost::json::object& StageManifest::entry(const std::string& stage) {
  return stages_.at(stage).as_object();
}

void StageManifest::begin(const std::string& stage, const RunSettings& inputs) {
  const bool goes_on = begun(stage, inputs) && !find(stage)->at("finished").as_bool();
  const double before = goes_on ? seconds(stage) : 0.0;
  stages_[stage] = boost::json::object{{"finished", false},
                                       {"seconds", before},
                                       {"inputs", inputs_json(inputs)},
                                       {"outputs", boost::json::object()},
                                       {"files", boost::json::object()}};
  write();
}

void StageManifest::pause(const std::string& stage, double seconds) {
  entry(stage)["seconds"] = this->seconds(stage) + seconds;
  write();
}

const boost::json::object& StageManifest::finish(const std::string& stage,
                                                 boost::json::object outputs,
                                                 const std::vector<std::string>& files,
                                                 double seconds) {
  boost::json::object hashes;
  for (const std::string& name : files) hashes[name] = sha256_hex_of_file(directory_ / name);
  boost::json::object& json = entry(stage);
  json["finished"] = true;
  json["seconds"] = this->seconds(stage) + seconds;
  json["outputs"] = std::move(outputs);
  json["files"] = std::move(hashes);
  write();
  return json.at("outputs").as_object();
}

double StageManifest::seconds(const std::string& stage) const {
  const boost::json::object* entry = find(stage);
  return entry == nullptr ? 0.0 : entry->at("seconds").to_number<double>();
}

void StageManifest::write() const {
  const boost::json::object json = {{"zeroth", ZEROTH_VERSION}, {"stages", stages_}};
  write_file_atomically(directory_ / "manifest.json",
                        write_json(json, JsonLayout::indented) + "\n");
}

}  // namespace zeroth
