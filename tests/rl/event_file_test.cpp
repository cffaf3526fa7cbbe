#include "rl/event_file.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/file_size_limit.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

const std::vector<MetricsLine> kLines = {
    {.step = 0, .metrics = {{"eval/pass_at_1", 0.125}}},
    {.step = 1, .metrics = {{"reward", 0.25}, {"step_time", 2.0}}},
    {.step = 3, .metrics = {{"reward", 0.5}, {"step_time", 1.5}}},
    {.step = 4, .metrics = {{"reward", std::numeric_limits<double>::quiet_NaN()}}},
};

std::string whole_file() {
  return file_version_record() + scalars_record(0.0, 0, kLines[0].metrics) +
         scalars_record(2.0, 1, kLines[1].metrics) + scalars_record(5.0, 3, kLines[2].metrics) +
         scalars_record(5.0, 4, kLines[3].metrics);
}

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace

TEST_CASE("crc32c: the vectors of RFC 3720", "[rl]") {
  std::string rising(32, '\0');
  std::iota(rising.begin(), rising.end(), '\0');
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AA);
  CHECK(crc32c(std::string(32, '\xFF')) == 0x62A8AB43);
  CHECK(crc32c(rising) == 0x46DD794E);
  CHECK(crc32c(std::string(rising.rbegin(), rising.rend())) == 0x113FDB5C);
  std::string read_command(48, '\0');  // an iSCSI SCSI Read (10) command PDU
  read_command.replace(0, 1, "\x01");
  read_command[1] = '\xC0';
  read_command[16] = '\x14';
  read_command[22] = '\x04';
  read_command[27] = '\x14';
  read_command[31] = '\x18';
  read_command[32] = '\x28';
  read_command[40] = '\x02';
  CHECK(crc32c(read_command) == 0xD9963A56);
}

TEST_CASE("event file: the first record, byte by byte", "[rl]") {
  const std::string record = file_version_record();
  // 24 bytes follow; the checksum of that length is the one every event file begins with
  CHECK(record.substr(0, 12) == bytes({24, 0, 0, 0, 0, 0, 0, 0, 0xA3, 0x7F, 0x4B, 0x22}));
  CHECK(record.substr(12, 24) == bytes({0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x1A, 13}) + "brain.Event:2");
  CHECK(record.size() == 12 + 24 + 4);
}

TEST_CASE("event file: a step's scalars, byte by byte", "[rl]") {
  const std::string record =
      scalars_record(1.0, 300, std::vector<Metric>{{"kl", -2.0}, {"loss", 0.5}});
  const std::string data = bytes({0x09, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F}) +  // wall_time 1.0
                           bytes({0x10, 0xAC, 0x02}) +                    // step 300
                           bytes({0x2A, 24}) +                            // summary
                           bytes({0x0A, 9, 0x0A, 2}) + "kl" + bytes({0x15, 0, 0, 0, 0xC0}) +
                           bytes({0x0A, 11, 0x0A, 4}) + "loss" + bytes({0x15, 0, 0, 0, 0x3F});
  REQUIRE(data.size() == 38);
  CHECK(record.substr(0, 8) == bytes({38, 0, 0, 0, 0, 0, 0, 0}));
  CHECK(record.substr(12, 38) == data);
  CHECK(record.size() == 12 + 38 + 4);
}

TEST_CASE("event file: what no float holds becomes an infinity, what is no number NaN", "[rl]") {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto value = [](double x) { return scalars_record(0.0, 1, std::vector<Metric>{{"x", x}}); };
  const std::string large = value(-1e300);
  CHECK(large.substr(large.size() - 8, 4) == bytes({0, 0, 0x80, 0xFF}));
  // metrics.jsonl has null for both, and the file is a function of it
  CHECK(value(infinity) == value(std::numeric_limits<double>::quiet_NaN()));
  CHECK(value(infinity) != value(1.0));
}

TEST_CASE("event file: times are the seconds of training", "[rl]") {
  const TemporaryDirectory directory;
  EventFile events(directory / "events", {});
  for (const MetricsLine& line : kLines) events.append(line.step, line.metrics);
  CHECK(read_file(directory / "events") == whole_file());
}

TEST_CASE("event file: it holds each line once, whatever was in it", "[rl]") {
  const TemporaryDirectory directory;
  const fs::path file = directory / "events";
  const std::string whole = whole_file();
  const std::size_t without_last = whole.size() - scalars_record(5.0, 4, kLines[3].metrics).size();
  const std::vector<std::string> before = {
      "",
      whole.substr(0, without_last),
      whole,
      whole.substr(0, without_last + 7),                  // torn
      whole + scalars_record(9.0, 5, kLines[1].metrics),  // steps that will be executed again
      whole.substr(0, 50) + "x" + whole.substr(51),       // damaged
      "something else, and longer" + std::string(1000, 'x')};
  for (const std::string& text : before) {
    write(file, text);
    { EventFile(file, kLines).sync(); }
    CHECK(read_file(file) == whole);
    // and goes on where the lines end
    write(file, text);
    EventFile events(file, std::span(kLines).first(3));
    events.append(4, kLines[3].metrics);
    CHECK(read_file(file) == whole);
  }
}

TEST_CASE("event file: what is right in it stays in place for who reads it", "[rl]") {
  const TemporaryDirectory directory;
  const fs::path file = directory / "events";
  write(file, whole_file() + "torn");
  std::ifstream reader;
  reader.rdbuf()->pubsetbuf(nullptr, 0);  // it must not have read what is cut
  reader.open(file, std::ios::binary);
  std::string seen(whole_file().size(), '\0');
  reader.read(seen.data(), static_cast<std::streamsize>(seen.size()));
  EventFile events(file, kLines);
  events.append(5, kLines[1].metrics);
  std::string next(scalars_record(5.0 + 2.0 * 2, 5, kLines[1].metrics).size(), '\0');
  reader.read(next.data(), static_cast<std::streamsize>(next.size()));
  CHECK(seen == whole_file());
  CHECK(next == scalars_record(9.0, 5, kLines[1].metrics));
}

TEST_CASE("event file: a full disk leaves whole records", "[rl]") {
  const TemporaryDirectory directory;
  const fs::path file = directory / "events";
  EventFile events(file, kLines);
  {
    const FileSizeLimit full(whole_file().size() + 10);
    CHECK_THROWS_AS(events.append(5, kLines[1].metrics), std::system_error);
  }
  CHECK(read_file(file) == whole_file());
}

}  // namespace zeroth
