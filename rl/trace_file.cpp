#include "rl/trace_file.h"

#include <boost/json.hpp>
#include <fstream>
#include <stdexcept>

#include "system/error.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

std::string trace_line(const SampledProblem& problem, std::size_t sample,
                       std::span<const std::string_view> reward_names) {
  const SampledTrace& trace = problem.samples[sample];
  if (trace.rewards.size() != reward_names.size())
    throw std::invalid_argument("write_traces: another number of rewards than names");
  boost::json::object rewards;
  for (std::size_t i = 0; i < reward_names.size(); ++i) {
    boost::json::value& reward = rewards[reward_names[i]];
    if (trace.rewards[i]) reward = *trace.rewards[i];
  }
  return write_json(boost::json::object{{"id", problem.id},
                                        {"question", problem.question},
                                        {"answer", problem.answer},
                                        {"solution", trace.text},
                                        {"problem", problem.problem},
                                        {"sample", sample},
                                        {"rewards", std::move(rewards)},
                                        {"prompt_ids", token_ids_json(problem.prompt)},
                                        {"completion_ids", token_ids_json(trace.tokens)}});
}

}  // namespace

WrittenTraces write_traces(const TraceStore& store, std::int64_t num_problems,
                           const TraceFilterOptions& options,
                           std::span<const std::string_view> reward_names,
                           const std::filesystem::path& file) {
  WrittenTraces written;
  PendingFile out(file);
  for (std::int64_t block = 0; block < store.num_blocks() && written.problems < num_problems;
       ++block) {
    std::string lines;
    for (const SampledProblem& problem : store.read(block)) {
      if (written.problems == num_problems) break;
      const std::vector<std::size_t> kept = select_traces(problem, options, written.counts);
      ++written.problems;
      if (!kept.empty()) ++written.problems_with_traces;
      for (const std::size_t sample : kept) {
        lines += trace_line(problem, sample, reward_names) + "\n";
        written.tokens += static_cast<std::int64_t>(problem.samples[sample].tokens.size());
      }
    }
    out.write(lines);
  }
  out.commit();
  return written;
}

std::vector<TrainingGroup> read_traces(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) read_file(file);  // throws, with the reason
  std::vector<TrainingGroup> traces;
  std::int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string source = file.string() + ":" + std::to_string(++number);
    const JsonReader json = JsonReader::parse(line, source);
    TrainingGroup trace{.prompt = token_ids_of(json.child("prompt_ids")),
                        .completions = {token_ids_of(json.child("completion_ids"))}};
    if (trace.prompt.empty()) json.fail("prompt_ids", "at least one token");
    if (trace.completions[0].empty()) json.fail("completion_ids", "at least one token");
    traces.push_back(std::move(trace));
  }
  return traces;
}

}  // namespace zeroth
