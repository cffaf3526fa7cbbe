#include "tools/trial_items.h"

#include <catch2/catch.hpp>
#include <string>

namespace zeroth {
namespace {

std::string chosen(const std::vector<RewardItem>& items) {
  std::string text;
  for (const RewardItem& item : trial_items(items)) text += item.completion;
  return text;
}

TEST_CASE("trial items: three, and the first that has each further column", "[tools]") {
  CHECK(chosen({}) == "");
  CHECK(chosen({{.completion = "a"}}) == "aaa");
  CHECK(chosen({{.completion = "a"}, {.completion = "b"}}) == "aba");
  CHECK(chosen({{.completion = "a", .columns_json = R"({"x": 1})"},
                {.completion = "b"},
                {.completion = "c"},
                {.completion = "d", .columns_json = R"({"x": 2})"},
                {.completion = "e", .columns_json = R"({"x": 2, "y": null})"},
                {.completion = "f", .columns_json = R"({"y": 2})"},
                {.completion = "g", .columns_json = R"({"z": 2})"}}) == "abceg");
}

TEST_CASE("trial items: no more than one call holds", "[tools]") {
  std::vector<std::string> columns;
  for (int i = 0; i < 100; ++i) columns.push_back("{\"c" + std::to_string(i) + "\": 1}");
  std::vector<RewardItem> items;
  for (const std::string& text : columns) items.push_back({.columns_json = text});
  CHECK(trial_items(items).size() == 64);
}

}  // namespace
}  // namespace zeroth
