// A teacher's samples on disk, block by block: an interrupted sampling goes on after the last whole
// block.
//
//   <directory>/samples.jsonl   a line a problem: its prompt, and every sample with token ids, text
//                               and rewards
//   <directory>/samples.index   first
//                               {"store":"zeroth samples 2","key":"<64 hexadecimal digits>",
//                                "rewards":"<64 more>"}, then a line a block:
//                               {"block":0,"problems":64,"bytes":N,"sha256":"…"}
//   <directory>/samples.jsonl.previous, samples.index.previous
//                               the store that was there before this one was begun
//
// Promise: what read() gives is what was appended, under the same key. On opening, the first block
// that is torn or does not have its checksum and everything after it are cut off, and where there
// is a store of another key or with a damaged first line, that is put aside as the previous one and
// a new one begun; both are told. Non-goals: which samples are good (trace_filter.h), and
// log-probs, which a student does not need.
#pragma once

#include <boost/json/array.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "system/file.h"
#include "system/json.h"

namespace zeroth {

struct SampledTrace {
  std::vector<std::int32_t> tokens;  // at least one; the end-of-sequence token included
  std::string text;                  // decoded, without special tokens
  bool finished = false;             // by an end-of-sequence token
  // One a reward, without weights; nothing where it does not apply or failed.
  std::vector<std::optional<double>> rewards;
  bool scored = true;  // false: no reward applies, or one failed and such samples are left out

  friend bool operator==(const SampledTrace&, const SampledTrace&) = default;
};

struct SampledProblem {
  std::int64_t problem = 0;  // index in the data set that was sampled
  std::string id, question, answer;
  std::vector<std::int32_t> prompt;
  std::vector<SampledTrace> samples;  // by sample index

  friend bool operator==(const SampledProblem&, const SampledProblem&) = default;
};

/// SHA-256, as hexadecimal digits, of everything but their number that samples are a function of,
/// and of what their scores are a function of beside the samples.
struct TraceStoreKey {
  std::string samples;
  std::string rewards;
};

class TraceStore {
 public:
  using Note = std::function<void(const std::string&)>;

  /// Opens or begins the store in `directory`. `note` is told what was cut and begun anew.
  /// std::system_error when the files cannot be written.
  TraceStore(const std::filesystem::path& directory, const TraceStoreKey& key, Note note);

  /// The store that was put aside in `directory`, where its samples have this key; else null. Whose
  /// rewards scored them does not matter: they can be scored again.
  static std::unique_ptr<TraceStore> previous(const std::filesystem::path& directory,
                                              const std::string& samples_key, Note note);

  std::int64_t num_blocks() const { return static_cast<std::int64_t>(blocks_.size()); }
  std::int64_t num_problems(std::int64_t block) const { return at(block).problems; }
  /// InputError when the file was damaged since it was opened.
  std::vector<SampledProblem> read(std::int64_t block) const;

  /// Hands the block to the system at once; it is durable after sync(), which is called here when
  /// the last one is a second ago. std::system_error when the disk is full.
  void append(std::span<const SampledProblem> block);
  void sync();

  /// Keeps the first `num_blocks`.
  void truncate(std::int64_t num_blocks);

  /// Seconds spent in append() and sync().
  double seconds() const { return seconds_; }

 private:
  // The store in two files; `header` is the first line of its index, with its end.
  TraceStore(std::filesystem::path samples, std::filesystem::path index, std::string header,
             Note note);

  struct Block {
    std::int64_t problems = 0;
    std::uint64_t offset = 0;  // in samples.jsonl
    std::uint64_t bytes = 0;
    std::string sha256;
    std::uint64_t index_end = 0;  // where its line of samples.index ends
  };
  void load_index(const std::string& index);
  std::string bytes_of(const Block& block) const;
  const Block& at(std::int64_t block) const;
  void write_through();

  std::filesystem::path samples_path_;
  Note note_;
  std::string header_;
  std::vector<Block> blocks_;
  std::unique_ptr<AppendFile> samples_, index_;
  std::chrono::steady_clock::time_point last_sync_;
  double seconds_ = 0.0;
};

/// A line of samples.jsonl, without its end; and back. InputError naming `source` and the key.
std::string sampled_problem_line(const SampledProblem& problem);
SampledProblem parse_sampled_problem(std::string_view line, const std::string& source);

/// Token ids as a JSON array; and back. InputError for what is none.
boost::json::array token_ids_json(std::span<const std::int32_t> ids);
std::vector<std::int32_t> token_ids_of(const JsonReader& json);

}  // namespace zeroth
