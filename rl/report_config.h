// What a report shows of how a run was made: its configuration, newest checkpoint and provenance.
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rl/trainer_state.h"

namespace zeroth {

struct ConfigLine {
  std::string key, value, origin;
};

/// The newest checkpoint whose state can be read. One that is being removed is passed over.
struct NewestCheckpoint {
  std::filesystem::path directory;
  TrainerState state;
};
std::optional<NewestCheckpoint> newest_checkpoint(const std::filesystem::path& directory);

/// The configuration of the run in `directory`: from its config.toml with what a resume changed,
/// else from its newest checkpoint, else from the quickstart it belongs to, if to any.
std::vector<ConfigLine> config_of(const std::filesystem::path& directory,
                                  const std::optional<NewestCheckpoint>& newest,
                                  const std::filesystem::path& quickstart);

/// The value of max_steps as a number, or null.
boost::json::value max_steps_of(const std::vector<ConfigLine>& config);

/// Seed, program, hashes and numerics, as far as they are known.
boost::json::object provenance_of(const std::filesystem::path& directory,
                                  const std::optional<NewestCheckpoint>& newest,
                                  const std::vector<ConfigLine>& config,
                                  const std::filesystem::path& quickstart);

}  // namespace zeroth
