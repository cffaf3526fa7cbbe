#include "tools/trial_items.h"

#include <set>
#include <string>

#include "system/json.h"

namespace zeroth {
namespace {

constexpr std::size_t kFirst = 3;
constexpr std::size_t kMost = 64;  // one call

// Whether `item` has a column that is not among `names`, which are then.
bool adds_columns(const RewardItem& item, std::set<std::string>& names) {
  if (item.columns_json.empty()) return false;
  bool adds = false;
  for (const std::string& name : JsonReader::parse(item.columns_json, "columns").keys())
    adds = names.insert(name).second || adds;
  return adds;
}

}  // namespace

std::vector<RewardItem> trial_items(std::span<const RewardItem> items) {
  std::vector<RewardItem> chosen;
  if (items.empty()) return chosen;
  std::set<std::string> names;
  for (std::size_t i = 0; i < kFirst; ++i) {
    chosen.push_back(items[i % items.size()]);
    adds_columns(chosen.back(), names);
  }
  for (std::size_t i = kFirst; i < items.size() && chosen.size() < kMost; ++i)
    if (adds_columns(items[i], names)) chosen.push_back(items[i]);
  return chosen;
}

}  // namespace zeroth
