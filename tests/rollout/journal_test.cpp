#include "rollout/journal.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <stdexcept>

#include "rollout/group_record.h"
#include "rollout/journaled_engine.h"
#include "system/error.h"
#include "tests/rl/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;

const SamplingParams kSampling{.temperature = 1.0, .max_new_tokens = 4, .seed = 3, .stream = 1};
const std::string kRun(64, 'a');

GenerateRequest request(std::uint32_t problem, std::uint32_t step = 21) {
  return {.prompt = {1, 2, static_cast<std::int32_t>(problem)},
          .num_generations = 2,
          .step = step,
          .problem = problem};
}

// An engine whose groups are a function of the request, and that remembers what it was asked.
class CountingEngine : public Engine {
 public:
  std::vector<Group> generate(std::span<const GenerateRequest> requests,
                              const SamplingParams& sampling,
                              const GroupSink& on_group = {}) override {
    std::vector<Group> groups(requests.size());
    for (std::size_t i = requests.size(); i-- > 0;) {  // groups finish in any order
      if (asked.size() == fail_after) throw std::runtime_error("killed");
      asked.push_back(requests[i].problem);
      for (std::int64_t g = 0; g < requests[i].num_generations; ++g) {
        groups[i].completions.push_back(
            {.tokens = {static_cast<std::int32_t>(requests[i].problem),
                        static_cast<std::int32_t>(g)},
             .logprobs = {-0.25F, static_cast<float>(sampling.temperature)},
             .experts = {static_cast<std::uint16_t>(requests[i].step)}});
      }
      if (on_group) on_group(i, groups[i]);
    }
    return groups;
  }
  GenerationStatistics statistics() const override {
    return {.num_completions = 2 * static_cast<std::int64_t>(asked.size())};
  }
  std::vector<std::uint32_t> asked;
  std::size_t fail_after = 1000;
};

std::string record_of(const Group& group) {
  std::string bytes;
  append_group_record(bytes, group);
  return bytes;
}

bool same(const std::vector<Group>& a, const std::vector<Group>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (record_of(a[i]) != record_of(b[i])) return false;
  }
  return true;
}

std::string bytes_of(const fs::path& file) {
  return read_file(file);
}
void write(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

struct Journals {
  RolloutJournal open(const std::string& run = kRun) {
    return {directory.path() / "journal", run,
            [this](const std::string& n) { notes.push_back(n); }};
  }
  std::vector<Group> generate(CountingEngine& engine, std::vector<GenerateRequest> requests,
                              const SamplingParams& sampling = kSampling,
                              const std::string& run = kRun) {
    RolloutJournal journal = open(run);
    return JournaledEngine(engine, journal).generate(requests, sampling);
  }
  fs::path file(const char* name = "step-000021.groups") const {
    return directory.path() / "journal" / name;
  }
  TemporaryDirectory directory;
  std::vector<std::string> notes;
};

const std::vector<GenerateRequest> kThree{request(0), request(1), request(2)};

std::vector<Group> expected(const std::vector<GenerateRequest>& requests,
                            const SamplingParams& sampling = kSampling) {
  CountingEngine engine;
  return engine.generate(requests, sampling);
}

}  // namespace

TEST_CASE("journal: what was sampled is not sampled again", "[rollout]") {
  Journals journals;
  CountingEngine first;
  CHECK(same(journals.generate(first, kThree), expected(kThree)));
  CHECK(first.asked == std::vector<std::uint32_t>{2, 1, 0});
  CHECK(journals.notes.empty());
  CountingEngine second;
  CHECK(same(journals.generate(second, kThree), expected(kThree)));
  CHECK(second.asked.empty());
  REQUIRE(journals.notes.size() == 1);
  CHECK(journals.notes[0] == "step 21: 3 groups are in the journal and not sampled again");
}

TEST_CASE("journal: groups that finished before a crash survive it", "[rollout]") {
  Journals journals;
  CountingEngine first;
  first.fail_after = 2;
  CHECK_THROWS_WITH(journals.generate(first, kThree), "killed");
  CountingEngine second;
  CHECK(same(journals.generate(second, kThree), expected(kThree)));
  CHECK(second.asked == std::vector<std::uint32_t>{0});
}

TEST_CASE("journal: every change of what a group answers is another group", "[rollout]") {
  Journals journals;
  CountingEngine engine;
  journals.generate(engine, {request(1)});
  engine.asked.clear();
  GenerateRequest other = request(1);
  other.prompt.push_back(9);
  journals.generate(engine, {other});
  other = request(1);
  other.num_generations = 3;
  journals.generate(engine, {other});
  other = request(1);
  other.problem = 2;
  journals.generate(engine, {other});
  journals.generate(engine, {request(1, 22)});
  for (const auto change :
       {+[](SamplingParams& s) { s.temperature = 0.5; },
        +[](SamplingParams& s) { s.max_new_tokens = 5; }, +[](SamplingParams& s) { s.seed = 4; },
        +[](SamplingParams& s) { s.stream = 2; }, +[](SamplingParams& s) { s.top_k = 3; },
        +[](SamplingParams& s) { s.top_p = 0.9; }, +[](SamplingParams& s) { s.min_p = 0.1; }}) {
    SamplingParams sampling = kSampling;
    change(sampling);
    CHECK(
        same(journals.generate(engine, {request(1)}, sampling), expected({request(1)}, sampling)));
  }
  CHECK(engine.asked.size() == 11);
  engine.asked.clear();
  journals.generate(engine, {request(1)});
  CHECK(engine.asked.empty());
}

TEST_CASE("journal: a file of another run is removed and told", "[rollout]") {
  Journals journals;
  CountingEngine engine;
  journals.generate(engine, kThree);
  engine.asked.clear();
  journals.generate(engine, kThree, kSampling, std::string(64, 'b'));
  CHECK(engine.asked.size() == 3);
  REQUIRE(journals.notes.size() == 1);
  CHECK(journals.notes[0].find("of another run or damaged, removed") != std::string::npos);
  engine.asked.clear();
  journals.generate(engine, kThree);  // and the first run finds nothing of its own any more
  CHECK(engine.asked.size() == 3);
}

TEST_CASE("journal: cut after any byte, it goes on from the last whole group", "[rollout]") {
  Journals journals;
  CountingEngine engine;
  journals.generate(engine, kThree);
  const std::string whole = bytes_of(journals.file());
  const std::size_t header = whole.find('\n') + 1;
  const std::size_t record = (whole.size() - header) / 3;
  for (std::size_t size = 0; size <= whole.size(); size += 3) {
    CAPTURE(size);
    write(journals.file(), whole.substr(0, size));
    journals.notes.clear();
    engine.asked.clear();
    CHECK(same(journals.generate(engine, kThree), expected(kThree)));
    const std::size_t kept = size < header ? 0 : (size - header) / record;
    CHECK(engine.asked.size() == 3 - kept);
    CHECK(bytes_of(journals.file()).size() == whole.size());
    const bool torn = size > header && (size - header) % record != 0;
    CHECK(journals.notes.size() == (torn ? 1U : 0U) + (kept > 0 ? 1U : 0U));
  }
}

TEST_CASE("journal: a changed byte costs its record and those after it, never a wrong group",
          "[rollout]") {
  Journals journals;
  CountingEngine engine;
  journals.generate(engine, kThree);
  const std::string whole = bytes_of(journals.file());
  const std::size_t header = whole.find('\n') + 1;
  const std::size_t record = (whole.size() - header) / 3;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    CAPTURE(at);
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << (at % 8)));
    write(journals.file(), bytes);
    engine.asked.clear();
    CHECK(same(journals.generate(engine, kThree), expected(kThree)));
    CHECK(engine.asked.size() == (at < header ? 3 : 3 - (at - header) / record));
  }
}

TEST_CASE("journal: steps are removed when a checkpoint holds them, other files are not",
          "[rollout]") {
  Journals journals;
  CountingEngine engine;
  for (const std::uint32_t step : {9U, 10U, 11U}) journals.generate(engine, {request(0, step)});
  write(journals.directory.path() / "journal" / "step-000009.groups.bak", "mine");
  RolloutJournal journal = journals.open();
  journal.remove_through(10);
  CHECK_FALSE(fs::exists(journals.file("step-000009.groups")));
  CHECK_FALSE(fs::exists(journals.file("step-000010.groups")));
  CHECK(fs::exists(journals.file("step-000011.groups")));
  journal.remove_all();
  CHECK_FALSE(fs::exists(journals.file("step-000011.groups")));
  CHECK(fs::exists(journals.file("step-000009.groups.bak")));
  fs::remove(journals.file("step-000009.groups.bak"));
  journal.remove_all();
  CHECK_FALSE(fs::exists(journals.directory.path() / "journal"));
  journal.remove_all();  // nothing there is nothing to remove
}

TEST_CASE("journal: on_group gets every group once, found or sampled", "[rollout]") {
  Journals journals;
  CountingEngine engine;
  journals.generate(engine, {request(1)});
  RolloutJournal journal = journals.open();
  JournaledEngine journaled(engine, journal);
  std::vector<std::size_t> seen;
  const auto groups =
      journaled.generate(kThree, kSampling, [&](std::size_t index, const Group& group) {
        seen.push_back(index);
        CHECK(group.completions[0].tokens[0] == static_cast<std::int32_t>(index));
      });
  CHECK(seen == std::vector<std::size_t>{1, 2, 0});
  CHECK_THROWS_AS(journaled.generate(std::vector{request(0), request(0, 22)}, kSampling),
                  std::invalid_argument);
}

TEST_CASE("journal: statistics are of what was sampled, not of what was found", "[rollout]") {
  Journals journals;
  CountingEngine engine;
  for (const std::int64_t sampled : {2, 0}) {
    RolloutJournal journal = journals.open();
    JournaledEngine journaled(engine, journal);
    journaled.generate(std::vector{request(1)}, kSampling);
    CHECK(journaled.statistics().num_completions == sampled);
  }
}

TEST_CASE("journal: every rank has one of its own, and those of ranks that are no more go",
          "[rollout]") {
  const TemporaryDirectory directory;
  const fs::path& output_dir = directory.path();
  CHECK(journal_directory(output_dir, 0) == output_dir / "journal");
  CHECK(journal_directory(output_dir, 12) == output_dir / "journal-rank-12");
  for (const int rank : {0, 1, 2, 12}) {
    RolloutJournal journal(journal_directory(output_dir, rank), kRun, {});
    journal.append(request(7), kSampling, {});
  }
  fs::create_directories(output_dir / "journal-rank-x");
  remove_journals_from(output_dir, 2);
  CHECK(fs::exists(output_dir / "journal"));
  CHECK(fs::exists(output_dir / "journal-rank-1"));
  CHECK(fs::exists(output_dir / "journal-rank-x"));
  CHECK_FALSE(fs::exists(output_dir / "journal-rank-2"));
  CHECK_FALSE(fs::exists(output_dir / "journal-rank-12"));
}

}  // namespace zeroth
