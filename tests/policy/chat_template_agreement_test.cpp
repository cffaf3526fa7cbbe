// Templates and conversations beside transformers: the recorded renderings in
// $ZEROTH_FIXTURES/templates/*.jsonl, whichever are there. A line has its template in
// `template_file` or `template`; a conversation, or `vars`; and `expected_hf` or `expected`, null
// for an error. `python_agrees` is false where Python refuses what another reader takes.

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <sstream>

#include "policy/chat_template.h"
#include "system/file.h"
#include "system/lines.h"
#include "tests/policy/chat_fixture.h"
#include "tests/support/fixtures.h"

namespace zeroth {
namespace {

namespace json = boost::json;

// With which the renderings were made.
constexpr const char* kDate = "2026-01-02";

struct Case {
  std::string name;
  ChatRequest request;
  std::optional<std::string> expected;  // none: an error
};

class Cases {
 public:
  explicit Cases(const std::filesystem::path& file) : directory_(file.parent_path()) {
    const std::string text = read_file(file);
    for (const TextLine& line : lines_of(text))
      if (!line.text.empty()) cases_.push_back(read(json::parse(line.text).as_object()));
  }
  const std::vector<Case>& all() const { return cases_; }

 private:
  static const json::value* find(const json::object& row, std::string_view key) {
    const json::value* value = row.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }

  std::string template_of(const json::object& row) {
    if (const json::value* text = find(row, "template")) return text->as_string().c_str();
    const std::string name = row.at("template_file").as_string().c_str();
    auto& text = files_[name];
    if (text.empty()) text = read_file(directory_ / name);
    return text;
  }

  Case read(const json::object& row) {
    json::object request = {{"chat_template", template_of(row)}};
    if (const json::value* vars = find(row, "vars")) {
      request["vars"] = *vars;
    } else {
      for (const char* key : {"messages", "tools", "documents", "kwargs", "bos_token", "eos_token"})
        if (const json::value* value = find(row, key)) request[key] = *value;
      const json::value* prompt = find(row, "add_generation_prompt");
      request["add_generation_prompt"] = prompt == nullptr || prompt->as_bool();
    }
    const json::value* expected =
        find(row, row.contains("expected_hf") ? "expected_hf" : "expected");
    const json::value* agrees = find(row, "python_agrees");
    const bool refused = agrees != nullptr && !agrees->as_bool();
    Case one{.name = row.at("id").as_string().c_str(),
             .request = {.source = "case", .json = write_json(request)},
             .expected = std::nullopt};
    if (expected != nullptr && !refused) one.expected = expected->as_string().c_str();
    return one;
  }

  std::filesystem::path directory_;
  std::map<std::string, std::string> files_;
  std::vector<Case> cases_;
};

TEST_CASE("chat_template: renderings of real templates are those of transformers", "[fixtures]") {
  if (testing::without_jinja()) return;
  int num_files = 0;
  for (const auto& file : testing::fixtures_in("templates")) {
    if (file.extension() != ".jsonl") continue;
    ++num_files;
    const Cases cases(file);
    ChatTemplate chat(testing::one_template("x"), testing::chat_host(kDate));
    std::vector<ChatRequest> requests;
    for (const Case& one : cases.all()) requests.push_back(one.request);
    const auto renderings = chat.render(requests);
    std::size_t passed = 0, errors = 0;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      const Case& one = cases.all()[i];
      const bool same = one.expected ? !renderings[i].error && renderings[i].text == *one.expected
                                     : renderings[i].error.has_value();
      passed += same ? 1 : 0;
      errors += one.expected ? 0 : 1;
      if (!same) UNSCOPED_INFO("differs: " << one.name);
    }
    std::ostringstream line;
    line << file.filename().string() << ": " << passed << " of " << requests.size() << ", "
         << errors << " of them refused";
    WARN(line.str());
    CHECK(!requests.empty());
    CHECK(passed == requests.size());
    CHECK(chat.num_starts() == 1);
  }
  if (num_files == 0) WARN("skipped: no templates in ZEROTH_FIXTURES");
}

}  // namespace
}  // namespace zeroth
