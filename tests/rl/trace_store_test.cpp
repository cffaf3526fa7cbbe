#include "rl/trace_store.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "rl/trace_file.h"
#include "system/error.h"
#include "tests/support/mutate.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

const TraceStoreKey kKey{std::string(64, 'a'), std::string(64, 'b')};

SampledProblem sampled(std::int64_t i) {
  const auto token = static_cast<std::int32_t>(i);
  return {
      .problem = i,
      .id = "p" + std::to_string(i),
      .question = "a \"question\"\n\xC3\xA9",
      .answer = "7",
      .prompt = {1, token},
      .samples = {{.tokens = {token, 2}, .text = "t\t", .finished = true, .rewards = {1.0, 0.1}},
                  {.tokens = {5}, .text = "", .finished = false, .rewards = {0.0, -1e-9}},
                  {.tokens = {6, 2},
                   .text = "u",
                   .finished = true,
                   .rewards = {std::nullopt, 0.5},
                   .scored = false}}};
}

std::vector<SampledProblem> block(std::int64_t number) {
  return {sampled(3 * number), sampled(3 * number + 1), sampled(3 * number + 2)};
}

void fill(const fs::path& directory, std::int64_t blocks) {
  TraceStore store(directory, kKey, {});
  for (std::int64_t b = store.num_blocks(); b < blocks; ++b) store.append(block(b));
  store.sync();
}

std::string bytes(const fs::path& file) {
  return read_file(file);
}
void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
}

}  // namespace

TEST_CASE("trace_store: what is read is what was appended, also by another process", "[rl]") {
  const TemporaryDirectory directory;
  fill(directory.path(), 2);
  std::vector<std::string> notes;
  TraceStore store(directory.path(), kKey, [&](const std::string& note) { notes.push_back(note); });
  REQUIRE(store.num_blocks() == 2);
  CHECK(store.num_problems(1) == 3);
  CHECK(store.read(0) == block(0));
  CHECK(store.read(1) == block(1));
  store.append(block(2));
  CHECK(store.read(2) == block(2));
  store.truncate(1);
  store.append(block(1));
  CHECK(store.read(1) == block(1));
  CHECK(notes.empty());
  CHECK_THROWS_AS(store.read(2), std::invalid_argument);
}

TEST_CASE("trace_store: a store of another key is put aside, and that is told", "[rl]") {
  const TemporaryDirectory directory;
  fill(directory.path(), 2);
  const std::string samples = bytes(directory.path() / "samples.jsonl");
  std::string note;
  const auto take_note = [&](const std::string& n) { note = n; };
  const TraceStoreKey other{std::string(64, 'c'), kKey.rewards};
  {
    TraceStore store(directory.path(), other, take_note);
    CHECK(store.num_blocks() == 0);
    CHECK(note.find("other inputs or damaged") != std::string::npos);
    CHECK(note.find("samples.jsonl.previous") != std::string::npos);
    CHECK(fs::file_size(directory.path() / "samples.jsonl") == 0);
    CHECK(bytes(directory.path() / "samples.jsonl.previous") == samples);
    store.append(block(0));
  }
  CHECK(TraceStore::previous(directory.path(), other.samples, {}) == nullptr);
  const auto previous = TraceStore::previous(directory.path(), kKey.samples, {});
  REQUIRE(previous != nullptr);
  REQUIRE(previous->num_blocks() == 2);
  CHECK(previous->read(1) == block(1));

  // One generation: a third store puts the second in the place of the first.
  const TraceStore third(directory.path(), {std::string(64, 'd'), kKey.rewards}, take_note);
  CHECK(TraceStore::previous(directory.path(), kKey.samples, {}) == nullptr);
  REQUIRE(TraceStore::previous(directory.path(), other.samples, {}) != nullptr);
  CHECK(TraceStore::previous(directory.path(), other.samples, {})->read(0) == block(0));
}

TEST_CASE("trace_store: under other rewards the samples that are there most fully are kept",
          "[rl]") {
  const TemporaryDirectory directory;
  fill(directory.path(), 3);
  std::string note;
  const auto take_note = [&](const std::string& n) { note = n; };
  const auto of_rewards = [](char c) { return TraceStoreKey{kKey.samples, std::string(64, c)}; };
  {
    TraceStore store(directory.path(), of_rewards('x'), take_note);
    CHECK(note.find("its samples are scored again") != std::string::npos);
    store.append(block(0));  // and is interrupted here
  }
  for (const char rewards : {'y', 'z'}) {
    const TraceStore store(directory.path(), of_rewards(rewards), take_note);
    CHECK(store.num_blocks() == 0);
    const auto previous = TraceStore::previous(directory.path(), kKey.samples, {});
    REQUIRE(previous != nullptr);
    CHECK(previous->num_blocks() == 3);
  }
  // Control: what has more is the new previous one.
  {
    TraceStore store(directory.path(), of_rewards('z'), take_note);
    for (int b = 0; b < 4; ++b) store.append(block(b));
  }
  const TraceStore store(directory.path(), of_rewards('x'), take_note);
  CHECK(TraceStore::previous(directory.path(), kKey.samples, {})->num_blocks() == 4);
}

TEST_CASE("trace_store: putting a store aside may be cut between its files", "[rl]") {
  const TemporaryDirectory directory;
  fill(directory.path(), 2);
  fs::rename(directory.path() / "samples.jsonl", directory.path() / "samples.jsonl.previous");
  const TraceStore store(directory.path(), {std::string(64, 'c'), kKey.rewards}, {});
  const auto previous = TraceStore::previous(directory.path(), kKey.samples, {});
  REQUIRE(previous != nullptr);
  CHECK(previous->num_blocks() == 2);
}

TEST_CASE("trace_store: cut anywhere, it goes on after the last whole block to the same bytes",
          "[rl]") {
  const TemporaryDirectory whole;
  fill(whole.path(), 3);
  const std::string samples = bytes(whole.path() / "samples.jsonl");
  const std::string index = bytes(whole.path() / "samples.index");
  std::set<std::int64_t> found;
  for (const char* name : {"samples.jsonl", "samples.index"}) {
    const std::string& text = name == std::string("samples.jsonl") ? samples : index;
    for (std::size_t size = 0; size < text.size(); size += 7) {
      const TemporaryDirectory directory;
      write(directory.path() / "samples.jsonl", samples);
      write(directory.path() / "samples.index", index);
      write(directory.path() / name, text.substr(0, size));
      found.insert(TraceStore(directory.path(), kKey, {}).num_blocks());
      fill(directory.path(), 3);
      CHECK(bytes(directory.path() / "samples.jsonl") == samples);
      CHECK(bytes(directory.path() / "samples.index") == index);
    }
  }
  CHECK(found == std::set<std::int64_t>{0, 1, 2});  // never three: the cut shows
}

TEST_CASE("trace_store: damage is noticed, and only whole blocks are used", "[rl]") {
  const TemporaryDirectory whole;
  fill(whole.path(), 3);
  const std::string samples = bytes(whole.path() / "samples.jsonl");
  const std::string index = bytes(whole.path() / "samples.index");
  int told = 0;
  for (unsigned seed = 0; seed < 600; ++seed) {
    const TemporaryDirectory directory;
    const bool damages_index = seed % 2 == 0;
    write(directory.path() / "samples.jsonl",
          damages_index ? samples : testing::mutate(samples, seed));
    write(directory.path() / "samples.index", damages_index ? testing::mutate(index, seed) : index);
    std::string note;
    TraceStore store(directory.path(), kKey, [&](const std::string& n) { note = n; });
    for (std::int64_t b = 0; b < store.num_blocks(); ++b) CHECK(store.read(b) == block(b));
    if (store.num_blocks() < 3) {
      ++told;
      CHECK_FALSE(note.empty());
    }
  }
  CHECK(told > 500);  // nearly every edit changes a byte
}

TEST_CASE("trace_store: a file damaged while it is open is refused, with both checksums", "[rl]") {
  const TemporaryDirectory directory;
  fill(directory.path(), 1);
  const TraceStore store(directory.path(), kKey, {});
  std::string text = bytes(directory.path() / "samples.jsonl");
  text[20] ^= 1;
  write(directory.path() / "samples.jsonl", text);
  try {
    store.read(0);
    FAIL("was read");
  } catch (const InputError& error) {
    CHECK(error.parts().expected.find("sha256") == 0);
    CHECK(error.parts().field == "bytes 0 to " + std::to_string(text.size()));
  }
}

TEST_CASE("trace_store: a damaged line is read or refused, never more", "[rl]") {
  const std::string line = sampled_problem_line(sampled(4));
  CHECK(parse_sampled_problem(line, "here") == sampled(4));
  for (unsigned seed = 0; seed < 2000; ++seed) {
    try {
      parse_sampled_problem(testing::mutate(line, seed), "here");
    } catch (const InputError& error) {
      CHECK(error.parts().source.find("here") == 0);
    }
  }
}

TEST_CASE("trace_file: kept traces become examples, in the store's order", "[rl]") {
  const TemporaryDirectory directory;
  TraceStore store(directory.path(), kKey, {});
  store.append(block(0));
  store.append(block(1));
  const std::vector<std::string_view> names = {"accuracy", "length"};
  const fs::path file = directory.path() / "traces.jsonl";
  const WrittenTraces written = write_traces(store, 6, {.reward_threshold = 0.0}, names, file);
  CHECK(written.problems == 6);
  CHECK(written.counts.unscored == 6);
  CHECK(written.problems_with_traces == 6);
  CHECK(written.counts.kept == 6);
  CHECK(written.counts.unfinished == 6);
  CHECK(written.tokens == 12);
  const std::vector<TrainingGroup> traces = read_traces(file);
  REQUIRE(traces.size() == 6);
  CHECK(traces[4].prompt == std::vector<std::int32_t>{1, 4});
  CHECK(traces[4].completions == std::vector<std::vector<std::int32_t>>{{4, 2}});
  CHECK(bytes(file).find("\"rewards\":{\"accuracy\":1.0,\"length\":0.1}") != std::string::npos);

  const fs::path fewer = directory.path() / "fewer.jsonl";
  CHECK(write_traces(store, 4, {.reward_threshold = 0.0}, names, fewer).counts.sampled == 12);
  CHECK(bytes(file).starts_with(bytes(fewer)));

  write(file, bytes(file) + "{\"prompt_ids\": [1], \"completion_ids\": []}\n");
  try {
    read_traces(file);
    FAIL("was read");
  } catch (const InputError& error) {
    CHECK(error.parts().source == file.string() + ":7");
    CHECK(error.parts().field == "completion_ids");
  }
}

TEST_CASE("trace_file: a reward that does not apply is null", "[rl]") {
  const TemporaryDirectory directory;
  TraceStore store(directory.path(), kKey, {});
  SampledProblem problem = sampled(1);
  problem.samples = {
      {.tokens = {5, 2}, .text = "", .finished = true, .rewards = {std::nullopt, 1.0}}};
  store.append(std::vector{problem});
  CHECK(store.read(0) == std::vector{problem});
  const std::vector<std::string_view> names = {"accuracy", "length"};
  const fs::path file = directory.path() / "traces.jsonl";
  CHECK(write_traces(store, 1, {.reward_threshold = 0.0}, names, file).counts.kept == 1);
  CHECK(bytes(file).find("\"rewards\":{\"accuracy\":null,\"length\":1.0}") != std::string::npos);
  CHECK(read_traces(file).size() == 1);
}

}  // namespace zeroth
