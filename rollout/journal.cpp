#include "rollout/journal.h"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "rollout/group_record.h"
#include "system/bytes.h"
#include "system/error.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHashSize = 32;
constexpr std::size_t kRecordHead = sizeof(std::uint64_t) + kHashSize;
constexpr auto kSyncEvery = std::chrono::seconds(1);

// Everything of the request and the sampling that decides the group.
std::string request_key(const GenerateRequest& request, const SamplingParams& sampling) {
  std::string text;
  append_bytes(text, request.step);
  append_bytes(text, request.problem);
  append_bytes(text, request.num_generations);
  append_bytes(text, sampling.temperature);
  append_bytes(text, sampling.max_new_tokens);
  append_bytes(text, sampling.seed);
  append_bytes(text, sampling.stream);
  if (sampling.truncates()) {  // journals from before there were truncations stay readable
    append_bytes(text, sampling.top_k);
    append_bytes(text, sampling.top_p);
    append_bytes(text, sampling.min_p);
  }
  for (const std::int32_t token : request.prompt) append_bytes(text, token);
  return sha256(text);
}

// One record taken off the front of `rest`; nullopt when it is torn or damaged.
std::optional<std::pair<std::string, Group>> take_record(std::string_view& rest) {
  if (rest.size() < kRecordHead) return std::nullopt;
  std::uint64_t size = 0;
  std::memcpy(&size, rest.data(), sizeof(size));
  if (size < kHashSize || size > rest.size() - kRecordHead) return std::nullopt;
  const std::string_view payload = rest.substr(kRecordHead, size);
  if (sha256(payload) != rest.substr(sizeof(size), kHashSize)) return std::nullopt;
  auto bytes = std::as_bytes(std::span(payload.substr(kHashSize)));
  try {
    Group group = read_group_record(bytes, "journal");
    if (!bytes.empty()) return std::nullopt;
    rest.remove_prefix(kRecordHead + size);
    return std::pair(std::string(payload.substr(0, kHashSize)), std::move(group));
  } catch (const InputError&) {
    return std::nullopt;
  }
}

// The N of step-N.groups; nullopt for any other name.
std::optional<std::int64_t> step_of(const fs::path& file) {
  long long step = 0;
  int end = 0;
  const std::string name = file.filename().string();
  if (std::sscanf(name.c_str(), "step-%lld.groups%n", &step, &end) != 1) return std::nullopt;
  if (static_cast<std::size_t>(end) != name.size()) return std::nullopt;
  return step;
}

// Adds the time it lives to a sum.
class Timer {
 public:
  explicit Timer(double& seconds) : seconds_(seconds) {}
  ~Timer() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

RolloutJournal::RolloutJournal(fs::path directory, std::string run_key,
                               std::function<void(const std::string&)> note)
    : directory_(std::move(directory)),
      header_("zeroth journal 1 " + run_key + "\n"),
      note_(std::move(note)) {}

fs::path RolloutJournal::file_of(std::uint32_t step) const {
  char name[40];
  std::snprintf(name, sizeof name, "step-%06u.groups", step);
  return directory_ / name;
}

void RolloutJournal::open(std::uint32_t step) {
  if (step_ == step) return;
  step_.reset();
  groups_.clear();
  file_.reset();
  fs::create_directories(directory_);
  const fs::path path = file_of(step);
  std::string bytes = fs::exists(path) ? read_file(path) : std::string();
  auto file = std::make_unique<AppendFile>(path);
  if (!bytes.starts_with(header_)) {
    // A first line that was torn is no other run's.
    if (!header_.starts_with(bytes) && note_)
      note_(path.string() + ": of another run or damaged, removed");
    file->truncate(0);
    file->append(header_);
    bytes = header_;
  }
  std::string_view rest = std::string_view(bytes).substr(header_.size());
  while (auto record = take_record(rest)) groups_.insert(*std::move(record));
  if (!rest.empty()) {
    file->truncate(bytes.size() - rest.size());
    if (note_)
      note_(path.string() + ": cut " + std::to_string(rest.size()) + " bytes of a torn record");
  }
  if (!groups_.empty() && note_) {
    note_("step " + std::to_string(step) + ": " + std::to_string(groups_.size()) +
          " groups are in the journal and not sampled again");
  }
  file_ = std::move(file);
  step_ = step;
  last_sync_ = std::chrono::steady_clock::now();
}

std::optional<Group> RolloutJournal::find(const GenerateRequest& request,
                                          const SamplingParams& sampling) {
  const Timer timer(seconds_);
  open(request.step);
  const auto found = groups_.find(request_key(request, sampling));
  if (found == groups_.end()) return std::nullopt;
  return found->second;
}

void RolloutJournal::append(const GenerateRequest& request, const SamplingParams& sampling,
                            const Group& group) {
  const Timer timer(seconds_);
  open(request.step);
  std::string payload = request_key(request, sampling);
  append_group_record(payload, group);
  std::string record;
  record.reserve(kRecordHead + payload.size());
  append_bytes(record, static_cast<std::uint64_t>(payload.size()));
  record += sha256(payload);
  record += payload;
  file_->append(record);
  if (std::chrono::steady_clock::now() - last_sync_ >= kSyncEvery) write_through();
}

void RolloutJournal::sync() {
  const Timer timer(seconds_);
  write_through();
}

void RolloutJournal::write_through() {
  if (file_) file_->sync();
  last_sync_ = std::chrono::steady_clock::now();
}

void RolloutJournal::remove_through(std::int64_t step) {
  if (!fs::is_directory(directory_)) return;
  std::vector<fs::path> done;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_)) {
    const std::optional<std::int64_t> of = step_of(entry.path());
    if (of && *of <= step) done.push_back(entry.path());
  }
  if (step_ && *step_ <= step) {
    step_.reset();
    file_.reset();
  }
  for (const fs::path& path : done) fs::remove(path);
}

void RolloutJournal::remove_all() {
  remove_through(std::numeric_limits<std::int64_t>::max());
  std::error_code not_empty;  // someone else's file stays, and the directory with it
  fs::remove(directory_, not_empty);
}

namespace {
constexpr std::string_view kRankPrefix = "journal-rank-";
}  // namespace

fs::path journal_directory(const fs::path& output_dir, int rank) {
  return output_dir / (rank == 0 ? "journal" : std::string(kRankPrefix) + std::to_string(rank));
}

void remove_journals_from(const fs::path& output_dir, int first) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(output_dir)) {
    const std::string name = entry.path().filename().string();
    int rank = 0;
    if (!name.starts_with(kRankPrefix)) continue;
    const char* digits = name.data() + kRankPrefix.size();
    const auto [end, error] = std::from_chars(digits, name.data() + name.size(), rank);
    if (error == std::errc() && end == name.data() + name.size() && rank >= first)
      found.push_back(entry.path());
  }
  for (const fs::path& directory : found) RolloutJournal(directory, "", {}).remove_all();
}

}  // namespace zeroth
