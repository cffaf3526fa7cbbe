#include "rl/completions_log.h"

#include <algorithm>
#include <boost/json.hpp>
#include <limits>
#include <stdexcept>
#include <string_view>

#include "rl/number_or_null.h"
#include "system/file.h"
#include "system/json.h"
#include "system/lines.h"
#include "system/utf8.h"

namespace zeroth {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string valid_utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const std::size_t length = utf8_bytes(text);
    result += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

std::string line_of(const CompletionRecord& record) {
  boost::json::object rewards;
  for (const NamedReward& reward : record.rewards) {
    rewards[reward.name] = number_or_null(reward.value);
  }
  boost::json::object line;
  line["prompt"] = valid_utf8(record.prompt);
  line["completion"] = valid_utf8(record.completion);
  line["reference"] = valid_utf8(record.reference);
  line["rewards"] = std::move(rewards);
  line["reward"] = number_or_null(record.reward);
  line["advantage"] = number_or_null(record.advantage);
  line["num_tokens"] = record.num_tokens;
  line["finish_reason"] = record.finish_reason == FinishReason::stop ? "stop" : "length";
  return write_json(line) + "\n";
}

std::string file_name(std::int64_t step) {
  constexpr std::size_t kDigits = 6;
  const std::string digits = std::to_string(step);
  const std::size_t zeros = kDigits - std::min(kDigits, digits.size());
  return "step-" + std::string(zeros, '0') + digits + ".jsonl";
}

// -1 for a name that is none of a step's.
std::int64_t step_of(const std::string& name) {
  constexpr std::string_view kStart = "step-";
  constexpr std::string_view kEnd = ".jsonl";
  constexpr std::size_t kMostDigits = 18;  // of an int64
  if (!name.starts_with(kStart) || !name.ends_with(kEnd)) return -1;
  const std::string digits = name.substr(kStart.size(), name.size() - kStart.size() - kEnd.size());
  if (digits.empty() || digits.size() > kMostDigits) return -1;
  if (digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  const std::int64_t step = std::stoll(digits);
  return file_name(step) == name ? step : -1;
}

// null: the rule gave no score
double read_score(const JsonReader& object, std::string_view key) {
  return object.get_double(key, std::numeric_limits<double>::quiet_NaN());
}

CompletionRecord read_record(std::string_view line, const std::string& source) {
  const JsonReader row = JsonReader::parse(line, source);
  CompletionRecord record{.prompt = row.get_string("prompt"),
                          .completion = row.get_string("completion"),
                          .reference = row.get_string("reference"),
                          .rewards = {},
                          .reward = read_score(row, "reward"),
                          .advantage = read_score(row, "advantage"),
                          .num_tokens = row.get_int64("num_tokens"),
                          .finish_reason = FinishReason::stop};
  const JsonReader rewards = row.child("rewards");
  for (const std::string& name : rewards.keys())
    record.rewards.push_back({name, read_score(rewards, name)});
  const std::string reason = row.get_string("finish_reason");
  if (reason != "stop" && reason != "length") row.fail("finish_reason", "stop or length");
  if (reason == "length") record.finish_reason = FinishReason::length;
  return record;
}

}  // namespace

std::filesystem::path write_completions(const std::filesystem::path& output_dir, std::int64_t step,
                                        std::span<const CompletionRecord> records) {
  if (step < 0) throw std::invalid_argument("write_completions: step must not be negative");
  const std::filesystem::path file = completions_file(output_dir, step);
  std::filesystem::create_directories(file.parent_path());
  PendingFile pending(file);
  for (const CompletionRecord& record : records) pending.write(line_of(record));
  pending.commit();
  return file;
}

std::filesystem::path completions_file(const std::filesystem::path& output_dir, std::int64_t step) {
  return output_dir / "completions" / file_name(step);
}

std::vector<std::int64_t> completion_steps(const std::filesystem::path& output_dir) {
  std::vector<std::int64_t> steps;
  const std::filesystem::path folder = output_dir / "completions";
  if (!std::filesystem::is_directory(folder)) return steps;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::int64_t step = step_of(entry.path().filename().string());
    if (step >= 0) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::vector<CompletionRecord> read_completions(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  std::vector<CompletionRecord> records;
  for (const TextLine& line : lines_of(text)) {
    records.push_back(read_record(line.text, file.string() + ":" + std::to_string(line.number)));
  }
  return records;
}

}  // namespace zeroth
