// The groups a run has sampled and may need again, on disk: after a crash the updates are executed
// again from them, and no finished group is sampled twice.
//
//   <directory>/step-000021.groups      one file a step
//     "zeroth journal 1 <run key>\n"    64 hexadecimal digits: the run whose groups these are
//     then records: u64 size of the payload, its SHA-256 (32 bytes), the payload
//     payload: request key (32 bytes, SHA-256 of what the group answers), the group's record
//
// Promise: a group that is found is the one that was appended, to the bit, for the same request of
// the same run. A file is read up to the first record that is torn or does not match its checksum
// and cut there; a file of another run is removed; both are told. Non-goals: which step is done
// (checkpoints say that) and metrics.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "rollout/engine.h"
#include "system/file.h"

namespace zeroth {

class RolloutJournal {
 public:
  /// `run_key`: SHA-256, as hexadecimal digits, of everything but the request that a group is a
  /// function of. `note` is told what was found, cut and removed. Nothing is read or written yet.
  RolloutJournal(std::filesystem::path directory, std::string run_key,
                 std::function<void(const std::string&)> note);

  /// The group that was appended for this request, or nullopt. std::system_error when the step's
  /// file cannot be opened for writing.
  std::optional<Group> find(const GenerateRequest& request, const SamplingParams& sampling);

  /// Hands the group to the system at once: it survives the end of this process. It is durable
  /// after sync(), which is called here when the last one is a second ago. std::system_error when
  /// the disk is full, with nothing of the record left.
  void append(const GenerateRequest& request, const SamplingParams& sampling, const Group& group);
  void sync();

  /// Seconds spent in find(), append() and sync() since this was made.
  double seconds() const { return seconds_; }

  /// Removes the files of steps up to `step`; of every step.
  void remove_through(std::int64_t step);
  void remove_all();

 private:
  void open(std::uint32_t step);
  void write_through();
  std::filesystem::path file_of(std::uint32_t step) const;

  std::filesystem::path directory_;
  std::string header_;
  std::function<void(const std::string&)> note_;
  std::optional<std::uint32_t> step_;  // of the file that is open
  std::unique_ptr<AppendFile> file_;
  std::map<std::string, Group> groups_;  // of the open file, by request key
  std::chrono::steady_clock::time_point last_sync_;
  double seconds_ = 0.0;
};

/// Where rank `rank` of a run in `output_dir` keeps its journal: journal, journal-rank-1, … A rank
/// finds the groups that a rank of its number sampled; with another number of ranks, those that it
/// does not find are sampled again, which is the same to the bit.
std::filesystem::path journal_directory(const std::filesystem::path& output_dir, int rank);

/// Removes the journals of the ranks from `first` on, which a run of more ranks has left.
void remove_journals_from(const std::filesystem::path& output_dir, int first);

}  // namespace zeroth
