#include "rl/trace_store.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "system/error.h"
#include "system/json.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

constexpr auto kSyncEvery = std::chrono::seconds(1);

// One line taken off the front of `rest`; false when it does not end.
bool take_line(std::string_view& rest, std::string_view& line) {
  const std::size_t end = rest.find('\n');
  if (end == std::string_view::npos) return false;
  line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return true;
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
    samples.push_back({{"completion", trace.text},
                       {"finish_reason", trace.finished ? "stop" : "length"},
                       {"rewards", boost::json::array(trace.rewards.begin(), trace.rewards.end())},
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
                       .rewards = {}};
    if (trace.tokens.empty()) element.fail("completion_ids", "at least one token");
    for (const JsonReader& reward : element.child("rewards").elements())
      trace.rewards.push_back(reward.as_double());
    problem.samples.push_back(std::move(trace));
  }
  return problem;
}

TraceStore::TraceStore(fs::path directory, const std::string& key,
                       std::function<void(const std::string&)> note)
    : directory_(std::move(directory)), note_(std::move(note)) {
  header_ = write_json(boost::json::object{{"store", "zeroth samples 1"}, {"key", key}}) + "\n";
  fs::create_directories(directory_);
  const fs::path index = directory_ / "samples.index";
  const std::string text = fs::exists(index) ? read_file(index) : std::string();
  samples_ = std::make_unique<AppendFile>(directory_ / "samples.jsonl");
  index_ = std::make_unique<AppendFile>(index);
  if (text.starts_with(header_)) {
    load_index(text);
  } else {
    if ((samples_->size() > 0 || !header_.starts_with(text)) && note_)
      note_(index.string() + ": of other inputs or damaged; everything is sampled again");
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
    note_((directory_ / "samples.jsonl").string() + ": goes on after " +
          std::to_string(num_blocks()) + " whole blocks (" + why + ")");
  }
}

const TraceStore::Block& TraceStore::at(std::int64_t block) const {
  if (block < 0 || block >= num_blocks()) throw std::invalid_argument("TraceStore: no such block");
  return blocks_[static_cast<std::size_t>(block)];
}

std::string TraceStore::bytes_of(const Block& block) const {
  const fs::path path = directory_ / "samples.jsonl";
  const auto fail = [&](const std::string& actual) {
    throw InputError({.source = path.string(),
                      .field = "bytes " + std::to_string(block.offset) + " to " +
                               std::to_string(block.offset + block.bytes),
                      .expected = "sha256 " + block.sha256,
                      .actual = actual});
  };
  if (block.bytes > fs::file_size(path) || block.offset > fs::file_size(path) - block.bytes)
    fail("the end of the file");
  std::string bytes(block.bytes, '\0');
  std::ifstream file(path, std::ios::binary);
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
    problems.push_back(parse_sampled_problem(line, (directory_ / "samples.jsonl").string()));
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
