#include "rl/trace_store.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr auto kSyncEvery = std::chrono::seconds(1);
constexpr const char* kSamples = "samples.jsonl";
constexpr const char* kIndex = "samples.index";
constexpr const char* kPrevious = ".previous";

// One line taken off the front of `rest`; false when it does not end.
bool take_line(std::string_view& rest, std::string_view& line) {
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return false;
  line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return true;
}

std::string header_of(const TraceStoreKey& key) {
  return write_json(boost::json::object{
             {"store", "zeroth samples 2"}, {"key", key.samples}, {"rewards", key.rewards}}) +
         "\n";
}

// What an index begins with; nothing where that is no header.
std::optional<TraceStoreKey> key_of(std::string_view index) {
  std::string_view line;
  if (!take_line(index, line)) return std::nullopt;
  try {
    const JsonReader json = JsonReader::parse(line, kIndex);
    TraceStoreKey key{.samples = json.get_string("key"), .rewards = json.get_string("rewards")};
    if (header_of(key) == std::string(line) + "\n") return key;
  } catch (const InputError&) {
  }
  return std::nullopt;
}

std::string text_of(const fs::path& file) {
  return fs::exists(file) ? read_file(file) : std::string();
}

fs::path previous_of(const fs::path& file) {
  return file.string() + kPrevious;
}

// Makes the store in `directory` the previous one, unless that has the samples that are wanted and
// no fewer of them. The index goes last: while it is there, so is all that is needed to do this.
void put_aside(const fs::path& directory, const std::string& index, const std::string& samples_key,
               const TraceStore::Note& note) {
  const std::string before = text_of(previous_of(directory / kIndex));
  const auto key = key_of(index);
  const auto key_before = key_of(before);
  const bool same = key && key->samples == samples_key;
  const bool same_before = key_before && key_before->samples == samples_key;
  const auto blocks = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  };
  const bool keeps_previous = same && same_before && blocks(before) >= blocks(index);
  for (const char* name : {kSamples, kIndex}) {
    const fs::path file = directory / name;
    if (!fs::exists(file)) continue;
    if (keeps_previous) {
      fs::remove(file);
    } else {
      fs::rename(file, previous_of(file));
    }
  }
  if (!note) return;
  note((directory / kIndex).string() +
       (same ? ": of other rewards; its samples are scored again"
             : ": of other inputs or damaged; everything is sampled again") +
       ", and what was there is kept as " + kSamples + kPrevious);
}

// Where the samples of the store of `key` are. A store of another key is put aside.
fs::path make_room(const fs::path& directory, const TraceStoreKey& key,
                   const TraceStore::Note& note) {
  fs::create_directories(directory);
  const std::string header = header_of(key);
  const std::string index = text_of(directory / kIndex);
  const fs::path samples = directory / kSamples;
  const bool has_samples = fs::exists(samples) && fs::file_size(samples) > 0;
  // The beginning of the header alone is a store that was being begun.
  if (!index.starts_with(header) && (has_samples || !header.starts_with(index)))
    put_aside(directory, index, key.samples, note);
  return samples;
}

}  // namespace

boost::json::array token_ids_json(std::span<const std::int32_t> ids) {
  boost::json::array json;
  json.reserve(ids.size());
  for (const std::int32_t id : ids) json.emplace_back(id);
  return json;
}

std::vector<std::int32_t> token_ids_of(const JsonReader& json) {
  std::vector<std::int32_t> ids;
  for (const JsonReader& element : json.elements()) {
    const std::int64_t id = element.as_int64();
    if (id < 0 || id > INT32_MAX) element.fail("a token id");
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

std::string sampled_problem_line(const SampledProblem& problem) {
  boost::json::array samples;
  samples.reserve(problem.samples.size());
  for (const SampledTrace& trace : problem.samples) {
    boost::json::array rewards;
    for (const std::optional<double>& reward : trace.rewards)
      rewards.push_back(reward ? boost::json::value(*reward) : boost::json::value(nullptr));
    samples.push_back({{"completion", trace.text},
                       {"finish_reason", trace.finished ? "stop" : "length"},
                       {"rewards", std::move(rewards)},
                       {"scored", trace.scored},
                       {"completion_ids", token_ids_json(trace.tokens)}});
  }
  return write_json(boost::json::object{{"problem", problem.problem},
                                        {"id", problem.id},
                                        {"question", problem.question},
                                        {"answer", problem.answer},
                                        {"prompt_ids", token_ids_json(problem.prompt)},
                                        {"samples", std::move(samples)}});
}

SampledProblem parse_sampled_problem(std::string_view line, const std::string& source) {
  const JsonReader json = JsonReader::parse(line, source);
  SampledProblem problem{.problem = json.get_int64("problem"),
                         .id = json.get_string("id"),
                         .question = json.get_string("question"),
                         .answer = json.get_string("answer"),
                         .prompt = token_ids_of(json.child("prompt_ids")),
                         .samples = {}};
  for (const JsonReader& element : json.child("samples").elements()) {
    const std::string finish = element.get_string("finish_reason");
    if (finish != "stop" && finish != "length") element.fail("finish_reason", "stop or length");
    SampledTrace trace{.tokens = token_ids_of(element.child("completion_ids")),
                       .text = element.get_string("completion"),
                       .finished = finish == "stop",
                       .rewards = {},
                       .scored = element.get_bool("scored")};
    if (trace.tokens.empty()) element.fail("completion_ids", "at least one token");
    for (const JsonReader& reward : element.child("rewards").elements())
      trace.rewards.push_back(reward.value().is_null() ? std::nullopt
                                                       : std::optional(reward.as_double()));
    problem.samples.push_back(std::move(trace));
  }
  return problem;
}

TraceStore::TraceStore(const fs::path& directory, const TraceStoreKey& key, Note note)
    : TraceStore(make_room(directory, key, note), directory / kIndex, header_of(key), note) {}

std::unique_ptr<TraceStore> TraceStore::previous(const fs::path& directory,
                                                 const std::string& samples_key, Note note) {
  const fs::path index = previous_of(directory / kIndex);
  const auto key = key_of(text_of(index));
  if (!key || key->samples != samples_key) return nullptr;
  return std::unique_ptr<TraceStore>(
      new TraceStore(previous_of(directory / kSamples), index, header_of(*key), std::move(note)));
}

TraceStore::TraceStore(fs::path samples, fs::path index, std::string header, Note note)
    : samples_path_(std::move(samples)), note_(std::move(note)), header_(std::move(header)) {
  const std::string text = text_of(index);
  samples_ = std::make_unique<AppendFile>(samples_path_);
  index_ = std::make_unique<AppendFile>(std::move(index));
  if (text.starts_with(header_)) {
    load_index(text);
  } else {
    index_->truncate(0);
    samples_->truncate(0);
    index_->append(header_);
  }
  last_sync_ = std::chrono::steady_clock::now();
}

// Takes blocks while they are whole, and cuts off what follows.
void TraceStore::load_index(const std::string& text) {
  std::string_view rest = std::string_view(text).substr(header_.size());
  std::string why;
  for (std::string_view line; why.empty() && take_line(rest, line);) {
    Block block;
    try {
      const JsonReader json = JsonReader::parse(line, "samples.index");
      if (json.get_int64("block") != num_blocks()) json.fail("block", std::to_string(num_blocks()));
      block = {.problems = json.get_int64("problems"),
               .offset = blocks_.empty() ? 0 : blocks_.back().offset + blocks_.back().bytes,
               .bytes = static_cast<std::uint64_t>(json.get_int64("bytes")),
               .sha256 = json.get_string("sha256"),
               .index_end = static_cast<std::uint64_t>(text.size() - rest.size())};
      const std::string bytes = bytes_of(block);
      if (std::count(bytes.begin(), bytes.end(), '\n') != block.problems)
        json.fail("problems", "as many as the block has lines");
      blocks_.push_back(std::move(block));
    } catch (const InputError& error) {
      why = error.what();
    }
  }
  if (why.empty() && !rest.empty()) why = "samples.index: a torn line";
  const std::uint64_t end = blocks_.empty() ? 0 : blocks_.back().offset + blocks_.back().bytes;
  if (why.empty() && samples_->size() > end) why = "samples.jsonl: a torn block";
  if (why.empty()) return;
  truncate(num_blocks());
  if (note_) {
    note_(samples_path_.string() + ": goes on after " + std::to_string(num_blocks()) +
          " whole blocks (" + why + ")");
  }
}

const TraceStore::Block& TraceStore::at(std::int64_t block) const {
  if (block < 0 || block >= num_blocks()) throw std::invalid_argument("TraceStore: no such block");
  return blocks_[static_cast<std::size_t>(block)];
}

std::string TraceStore::bytes_of(const Block& block) const {
  const auto fail = [&](const std::string& actual) {
    throw InputError({.source = samples_path_.string(),
                      .field = "bytes " + std::to_string(block.offset) + " to " +
                               std::to_string(block.offset + block.bytes),
                      .expected = "sha256 " + block.sha256,
                      .actual = actual});
  };
  if (block.bytes > fs::file_size(samples_path_) ||
      block.offset > fs::file_size(samples_path_) - block.bytes)
    fail("the end of the file");
  std::string bytes(block.bytes, '\0');
  std::ifstream file(samples_path_, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(block.offset));
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) fail("the end of the file");
  const std::string actual = sha256_hex(std::string_view(bytes));
  if (actual != block.sha256) fail(actual);
  return bytes;
}

std::vector<SampledProblem> TraceStore::read(std::int64_t block) const {
  const std::string bytes = bytes_of(at(block));
  std::vector<SampledProblem> problems;
  std::string_view rest = bytes;
  for (std::string_view line; take_line(rest, line);) {
    problems.push_back(parse_sampled_problem(line, samples_path_.string()));
  }
  return problems;
}

void TraceStore::append(std::span<const SampledProblem> problems) {
  const auto start = std::chrono::steady_clock::now();
  std::string bytes;
  for (const SampledProblem& problem : problems) bytes += sampled_problem_line(problem) + "\n";
  Block block{.problems = static_cast<std::int64_t>(problems.size()),
              .offset = blocks_.empty() ? 0 : blocks_.back().offset + blocks_.back().bytes,
              .bytes = bytes.size(),
              .sha256 = sha256_hex(std::string_view(bytes)),
              .index_end = 0};
  samples_->append(bytes);
  index_->append_line(write_json(boost::json::object{{"block", num_blocks()},
                                                     {"problems", block.problems},
                                                     {"bytes", block.bytes},
                                                     {"sha256", block.sha256}}));
  block.index_end = index_->size();
  blocks_.push_back(std::move(block));
  if (std::chrono::steady_clock::now() - last_sync_ >= kSyncEvery) write_through();
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void TraceStore::sync() {
  const auto start = std::chrono::steady_clock::now();
  write_through();
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void TraceStore::write_through() {
  samples_->sync();
  index_->sync();
  last_sync_ = std::chrono::steady_clock::now();
}

void TraceStore::truncate(std::int64_t num_blocks) {
  if (num_blocks < 0 || num_blocks > this->num_blocks())
    throw std::invalid_argument("TraceStore: no such block");
  const std::uint64_t end = blocks_.empty() ? 0 : blocks_.back().offset + blocks_.back().bytes;
  const std::uint64_t index_end = blocks_.empty() ? header_.size() : blocks_.back().index_end;
  if (num_blocks == this->num_blocks() && samples_->size() == end && index_->size() == index_end)
    return;
  blocks_.resize(static_cast<std::size_t>(num_blocks));
  index_->truncate(blocks_.empty() ? header_.size() : blocks_.back().index_end);
  samples_->truncate(blocks_.empty() ? 0 : blocks_.back().offset + blocks_.back().bytes);
}

}  // namespace zeroth
