#include "rl/report.h"

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "rl/completions_log.h"
#include "rl/report_data.h"
#include "rl/report_files.h"
#include "system/file.h"
#include "tests/support/temporary_directory.h"

namespace zeroth {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::TemporaryDirectory;

constexpr std::string_view kOpen = "<script type=\"application/json\" id=\"data\">";
constexpr std::string_view kClose = "</script>";

// The block of data as a browser cuts it out: up to the first </script>.
std::string block_of(const std::string& page) {
  const std::size_t begin = page.find(kOpen) + kOpen.size();
  return page.substr(begin, page.find(kClose, begin) - begin);
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size()))
    ++found;
  return found;
}

json::object data_with(const std::string& text) {
  return {{"title", text}, {"runs", json::array{json::object{{"name", text}}}}};
}

// What would leave the block, or be read as something else, were it not escaped.
const std::vector<std::string> kHostile = {
    "</script><script>alert(1)</script>",
    "</SCRIPT\n>",
    "<!--<script>",
    "-->",
    "<img src=x onerror=alert(1)>",
    "\xE2\x80\xA8 \xE2\x80\xA9",
    "\"}];alert(1);//",
    "\\u003c/script\\u003e\\",
    "{{script}}{{data}}",
    "&lt;script&gt;",
    std::string("\0\x01\x1f\x7f", 4),
    "]]>",
    "\xF0\x9F\x98\x80 ünï",
};

}  // namespace

TEST_CASE("fill_page: marks are replaced once", "[rl]") {
  const std::vector<PageValue> values = {{"a", "1{{b}}"}, {"b", "2"}};
  CHECK(fill_page("x{{a}}y{{b}}{{b}}z", values) == "x1{{b}}y22z");
  CHECK(fill_page("no marks } {", values) == "no marks } {");
  CHECK_THROWS_AS(fill_page("{{c}}", values), std::invalid_argument);
  CHECK_THROWS_AS(fill_page("{{a", values), std::invalid_argument);
}

TEST_CASE("json_for_script: by hand", "[rl]") {
  const json::object data = {{"a<b", "</script>&\xE2\x80\xA8\xE2\x80\xA9\xE2\x80\xA7"}};
  CHECK(json_for_script(data) ==
        "{\"a\\u003cb\":\"\\u003c/script\\u003e\\u0026\\u2028\\u2029\xE2\x80\xA7\"}");
}

TEST_CASE("report page: hostile texts come back as they were and go nowhere else", "[rl]") {
  const std::size_t scripts = count(report_page(data_with("run")), "<script");
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string text = kHostile[static_cast<std::size_t>(round) % kHostile.size()];
    // and mixtures of them, cut anywhere a character begins
    for (int i = 0; round >= static_cast<int>(kHostile.size()) && i < 4; ++i) {
      const std::string& other = kHostile[random() % kHostile.size()];
      std::size_t from = random() % other.size();
      while (from < other.size() && (static_cast<unsigned char>(other[from]) & 0xC0U) == 0x80U)
        ++from;
      text += other.substr(from);
    }
    const std::string page = report_page(data_with(text));
    INFO(text);
    CHECK(count(page, "<script") == scripts);
    CHECK(count(page, "</script") == scripts);
    const std::string block = block_of(page);
    CHECK(block.find_first_of("<>&") == std::string::npos);
    CHECK(block.find("\xE2\x80\xA8") == std::string::npos);
    CHECK(block.find("\xE2\x80\xA9") == std::string::npos);
    const json::value read = json::parse(block);
    CHECK(std::string(read.at("runs").as_array().at(0).at("name").as_string()) == text);
    // the title is the one text that stands in the HTML itself
    const std::string title =
        page.substr(page.find("<title>"), page.find("</title>") - page.find("<title>"));
    CHECK(count(title, "<") == 1);
  }
  // The control: as plain JSON the first of them ends the block.
  const std::string plain =
      std::string(kOpen) + json::serialize(data_with(kHostile[0])) + "</script>";
  CHECK(block_of(plain) != json::serialize(data_with(kHostile[0])));
}

TEST_CASE("report page: completions of a run come through whole", "[rl]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "metrics.jsonl") << "{\"step\":1,\"reward\":0.5}\n";
  for (std::size_t i = 0; i < kHostile.size(); ++i) {
    const fs::path completions = directory / "completions";
    fs::remove_all(completions);
    write_completions(directory.path(), 1,
                      std::vector<CompletionRecord>{{.prompt = kHostile[i],
                                                     .completion = kHostile[i],
                                                     .reference = kHostile[i],
                                                     .rewards = {{kHostile[i], 1.0}}}});
    const fs::path file = directory / "report.html";
    write_report(std::vector<fs::path>{directory.path()}, file, kHostile[i]);
    const json::value data = json::parse(block_of(read_file(file)));
    const json::value& record = data.at("runs")
                                    .as_array()
                                    .at(0)
                                    .at("completions")
                                    .as_array()
                                    .at(0)
                                    .at("records")
                                    .as_array()
                                    .at(0);
    for (const char* key : {"prompt", "completion", "reference"})
      CHECK(std::string(record.at(key).as_string()) == kHostile[i]);
    CHECK(std::string(record.at("rewards").as_array().at(0).at("name").as_string()) == kHostile[i]);
  }
}

TEST_CASE("report page: it names no place to fetch from", "[rl]") {
  const std::string page = report_page(data_with("run"));
  CHECK(page.find("default-src 'none'; img-src data:; style-src 'sha256-") != std::string::npos);
  CHECK(count(page, "'sha256-") == 3);
  CHECK(page.find("unsafe-inline") == std::string::npos);
  CHECK(page.find("{{") == page.find("{{", page.find("</html>")));  // no mark is left
  for (const std::string_view text :
       {report_files::page(), report_files::script(), report_files::style()}) {
    CHECK(text.find("src=\"http") == std::string_view::npos);
    CHECK(text.find("@import") == std::string_view::npos);
    CHECK(text.find("url(") == std::string_view::npos);
    CHECK(text.find("innerHTML") == std::string_view::npos);
  }
  // what stands in a script element must not end it
  CHECK(count(report_files::library(), "</script") == 0);
  CHECK(count(report_files::script(), "</script") == 0);
  CHECK(report_files::library().find("Chart.js v3") != std::string_view::npos);
  CHECK(report_files::library().find("sourceMappingURL") == std::string_view::npos);
}

TEST_CASE("report page: the embedded files are those of the tree", "[rl]") {
  const fs::path folder = fs::path(ZEROTH_SOURCE_DIR) / "rl/report_page";
  CHECK(report_files::page() == read_file(folder / "page.html"));
  CHECK(report_files::style() == read_file(folder / "page.css"));
  CHECK(report_files::script() == read_file(folder / "page.js"));
}

TEST_CASE("report: the same files give the same page", "[rl]") {
  const TemporaryDirectory directory;
  std::ofstream(directory / "metrics.jsonl") << "{\"step\":1,\"reward\":0.5}\n";
  const std::vector<fs::path> runs = {directory.path()};
  write_report(runs, directory / "a.html", "test");
  write_report(runs, directory / "b.html", "test");
  CHECK(read_file(directory / "a.html") == read_file(directory / "b.html"));
  CHECK_THROWS_AS(write_report(runs, directory / "absent/report.html", "test"), std::system_error);
}

}  // namespace zeroth
