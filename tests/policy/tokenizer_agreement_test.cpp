// Real tokenizers beside `tokenizers` itself: the recorded ids and decodings in
// $ZEROTH_FIXTURES/tokenizers/NAME/{tokenizer.json, vectors_hf.jsonl}, whichever are there.

#include <algorithm>
#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <sstream>

#include "policy/text_stream.h"
#include "policy/tokenizer.h"
#include "system/file.h"
#include "system/json.h"
#include "tests/support/fixtures.h"

namespace zeroth {
namespace {

using Ids = std::vector<std::int32_t>;

struct Vector {
  std::string text, decoded;
  Ids ids;
};

std::vector<Vector> read_vectors(const std::filesystem::path& file) {
  std::vector<Vector> vectors;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const JsonReader row = JsonReader::parse(line, file.string());
    Vector vector{.text = row.get_string("text"), .decoded = {}, .ids = {}};
    vector.decoded = row.get_string("decoded", vector.text);
    for (const JsonReader& id : row.child("ids").elements()) {
      vector.ids.push_back(static_cast<std::int32_t>(id.as_int64()));
    }
    vectors.push_back(std::move(vector));
  }
  return vectors;
}

std::string streamed(const Tokenizer& tokenizer, const Ids& ids) {
  TextStream stream(tokenizer, false);
  std::string text;
  for (const std::int32_t id : ids) text += stream.push(std::span(&id, 1));
  return text + stream.finish();
}

TEST_CASE("tokenizer: ids and decodings of real files are those of tokenizers", "[fixtures]") {
  int num_files = 0;
  for (const auto& directory : testing::fixtures_in("tokenizers")) {
    const std::filesystem::path file = directory / "vectors_hf.jsonl";
    if (!std::filesystem::exists(file)) continue;
    ++num_files;
    const Tokenizer tokenizer = Tokenizer::load(directory);
    std::size_t num_rows = 0, num_ids = 0, num_texts = 0;
    for (const Vector& row : read_vectors(file)) {
      ++num_rows;
      const bool same_ids = tokenizer.encode(row.text) == row.ids;
      const bool same_text = tokenizer.decode(row.ids, false) == row.decoded &&
                             streamed(tokenizer, row.ids) == row.decoded;
      num_ids += same_ids ? 1 : 0;
      num_texts += same_text ? 1 : 0;
      if (!same_ids || !same_text) UNSCOPED_INFO("differs: " << row.text.substr(0, 200));
    }
    std::ostringstream line;
    line << directory.filename().string() << ": ids " << num_ids << " of " << num_rows
         << ", decodings " << num_texts << " of " << num_rows;
    WARN(line.str());
    CHECK(num_rows > 0);
    CHECK(num_ids == num_rows);
    CHECK(num_texts == num_rows);
  }
  if (num_files == 0) WARN("skipped: no tokenizers in ZEROTH_FIXTURES");
}

}  // namespace
}  // namespace zeroth
