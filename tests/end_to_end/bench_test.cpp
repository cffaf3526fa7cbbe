// zeroth bench: rewards with a peer that answers at once, and plugins: what is counted, and what is
// refused.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "tests/support/zeroth_command.h"

namespace zeroth {
namespace {

using testing::contains;
using testing::Outcome;
using testing::TemporaryDirectory;
using testing::zeroth_command;

// Says of every file that it graded `rows` cases at ten a second and agreed with one.
void write_peer(const std::filesystem::path& file, int rows) {
  std::ofstream(file) << "import json, sys\nfor line in sys.stdin:\n  print(json.dumps({'rows': "
                      << rows << ", 'seconds': " << rows
                      << " / 10, 'p50': 1e5, 'p99': 1e5, 'p999': 1e5, 'max': 1e5, 'labelled': 2,\n"
                         "    'agree': 1, 'false_positives': 1, 'peak_rss_bytes': 1048576,"
                         " 'version': '0'}), flush=True)\n";
}

constexpr const char* kBench =
    "bench rewards --cases cases.jsonl --python python3 --peer peer.py --json";

}  // namespace

TEST_CASE("bench rewards: counts pairs of answers beside a peer's", "[end_to_end]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "cases.jsonl")
      << R"({"mode": "answer-vs-answer", "gold": "1/2", "pred": "0.5", "expected": true})"
      << "\n"
      << R"({"mode": "answer-vs-answer", "gold": "7", "pred": "8", "expected": true})"
      << "\n"
      << R"({"mode": "answer-vs-answer", "gold": "7", "pred": "8", "expected": null})"
      << "\n"
      << R"({"mode": "extract-last-boxed", "text": "\\boxed{1}", "expected_out": "1"})"
      << "\n";
  write_peer(directory / "peer.py", 3);
  const Outcome outcome = zeroth_command(directory, kBench);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const boost::json::value result = boost::json::parse(outcome.out);
  const boost::json::object& file = result.at("files").at(0).as_object();
  CHECK(file.at("file") == "cases");
  CHECK(file.at("rows") == 3);
  CHECK(file.at("peer").at("cases_per_second").as_double() == Approx(10.0));
  CHECK(file.at("zeroth").at("labelled") == 2);
  CHECK(file.at("zeroth").at("agree") == 1);
  CHECK(file.at("zeroth").at("false_positives") == 0);
  CHECK(file.at("ratio").as_double() ==
        Approx(file.at("zeroth").at("cases_per_second").as_double() / 10.0));

  write_peer(directory / "peer.py", 4);  // it has left one out, or counts others
  const Outcome refused = zeroth_command(directory, kBench);
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "3 graded of cases.jsonl"));
  std::ofstream(directory / "cases.jsonl") << R"({"mode": "extract-final", "text": "1",)"
                                           << R"( "expected_out": null})"
                                           << "\n";
  CHECK(contains(zeroth_command(directory, kBench).err, "a case with \"gold\" and \"pred\""));
}

TEST_CASE("bench plugin: a rate for every level that the machine reaches", "[end_to_end]") {
  const TemporaryDirectory directory;
  const Outcome outcome = zeroth_command(directory, "bench plugin --json --plugin " SEVENS_PLUGIN);
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const boost::json::value result = boost::json::parse(outcome.out);
  const boost::json::array& levels = result.at("levels").as_array();
  REQUIRE(levels.size() >= 2);
  CHECK(levels[0].at("sandbox") == "none");
  CHECK(levels[1].at("sandbox") == "limits");
  for (const boost::json::value& level : levels) {
    CHECK(level.at("completions_per_second").as_double() > 0.0);
    CHECK(level.at("start_seconds").as_double() > 0.0);
  }
  CHECK(contains(zeroth_command(directory, "bench plugin").err, "plugin: expected FILE.so"));
  CHECK(contains(zeroth_command(directory, "bench plugin --plugin accuracy").err,
                 "expected a reward of one's own"));
}

TEST_CASE("bench checkpoints: loads and saves beside a peer, and clears up", "[end_to_end]") {
  const TemporaryDirectory directory;
  // Says that everything took a second, and keeps what it was asked.
  std::ofstream(directory / "peer.py")
      << "import json, sys\nfor line in sys.stdin:\n  open('asked', 'a').write(line)\n"
         "  print(json.dumps({'seconds': 1.0, 'processor_seconds': 2.0}), flush=True)\n";
  const Outcome outcome = zeroth_command(
      directory,
      "bench checkpoints --python python3 --peer peer.py --megabytes 1 --num_threads 2 --json");
  INFO(outcome.err);
  REQUIRE(outcome.exit_code == 0);
  const boost::json::array files = boost::json::parse(outcome.out).at("files").as_array();
  REQUIRE(files.size() == 2);
  for (const auto& file : files) {
    const double gigabytes = file.at("file_bytes").to_number<double>() / 1e9;
    const bool is_half = file.at("dtype") == "bfloat16";
    CHECK(file.at("weight_bytes").to_number<double>() / 1e9 ==
          Approx(is_half ? 2 * gigabytes : gigabytes).epsilon(0.01));
    for (const char* key : {"load_gigabytes_per_second", "save_gigabytes_per_second"}) {
      CHECK(file.at(key).at("clock").at("peer").as_double() == Approx(gigabytes));
      CHECK(file.at(key).at("processors").at("peer").as_double() == Approx(gigabytes / 2));
      CHECK(file.at(key).at("clock").at("zeroth").as_double() > 0);
    }
  }
  const std::string asked = read_file(directory / "asked");
  CHECK(contains(asked, R"("what":"load")"));
  CHECK(contains(asked, R"("dtype":"float32")"));
  CHECK(zeroth_command(directory, "bench checkpoints --python python3 --peer peer.py --megabytes 0")
            .exit_code == 2);
}

}  // namespace zeroth
