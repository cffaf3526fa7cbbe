// manifest.json: what every stage of a distillation, or phase of a quickstart, was made from and
// what came out. It is how a stage knows that it need not be done again.
//
//   {"zeroth": "0.1.0", "stages": {"traces": {
//      "finished": true, "seconds": 12.3,
//      "inputs": {key: value…},       everything the stage's result is a function of
//      "outputs": {…},                counts, figures
//      "files": {"traces.jsonl": sha256…}}, …}}
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "rl/run_settings.h"

namespace zeroth {

class StageManifest {
 public:
  using Note = std::function<void(const std::string&)>;

  /// Of the run in `directory`. One that is damaged is told and counts as none.
  StageManifest(std::filesystem::path directory, Note note);

  /// The outputs of `stage` when it was finished from the same inputs and its files are as they
  /// were; else nullptr, and where it was finished or begun before, what differs is told.
  const boost::json::object* finished(const std::string& stage, const RunSettings& inputs) const;

  /// Whether `stage` was begun from the same inputs: what it left behind may be used.
  bool begun(const std::string& stage, const RunSettings& inputs) const;

  /// The outputs of `stage`. Unless it is finished, `work` is run and returns them; where it
  /// throws, its seconds are kept, to be added up, and what it threw passes through. `files`, which
  /// it has written then, are named relative to the directory.
  const boost::json::object& run(const std::string& stage, const RunSettings& inputs,
                                 const std::vector<std::string>& files,
                                 const std::function<boost::json::object()>& work);

  /// Seconds of the stage, all its executions together.
  double seconds(const std::string& stage) const;

 private:
  const boost::json::object* find(const std::string& stage) const;
  boost::json::object& entry(const std::string& stage);
  // Each writes the manifest.
  void begin(const std::string& stage, const RunSettings& inputs);
  void pause(const std::string& stage, double seconds);
  const boost::json::object& finish(const std::string& stage, boost::json::object outputs,
                                    const std::vector<std::string>& files, double seconds);
  void write() const;

  std::filesystem::path directory_;
  Note note_;
  boost::json::object stages_;
};

}  // namespace zeroth
