// A plugin by plugin.h that gives what the completion names: a field of the item, a parameter, or
// the column `of` the completion "number of", read as that.

#include <zeroth/plugin.h>

#include <stdexcept>

#ifdef PROBE_CLASS
class Probe {
 public:
  explicit Probe(const zeroth::Parameters& parameters)
      : limit_(parameters.number("limit", 200)), word_(parameters.text("word", "")) {
    if (limit_ < 0) throw std::invalid_argument("limit: expected 0 or more");
  }
  double operator()(const zeroth::Item& item) const {
    if (item.completion == "limit") return limit_;
    return static_cast<double>(word_.size());
  }

 private:
  double limit_;
  std::string word_;
};
ZEROTH_REWARD_CLASS(Probe, "probe", "a class")
#else
static double column(std::string_view kind, std::string_view name, const zeroth::Object& columns) {
  if (kind == "number") return columns.number(name);
  if (kind == "number_or_7") return columns.number(name, 7);
  if (kind == "integer") return static_cast<double>(columns.integer(name) % 1000);
  if (kind == "integer_or_7") return static_cast<double>(columns.integer(name, 7));
  if (kind == "boolean") return columns.boolean(name);
  if (kind == "boolean_or_true") return columns.boolean(name, true);
  if (kind == "text") return static_cast<double>(columns.text(name).size());
  if (kind == "text_or_abc") return static_cast<double>(columns.text(name, "abc").size());
  if (kind == "last") return columns.text(name).back();
  if (kind == "json") return static_cast<double>(columns.json(name).size());
  if (kind == "has") return columns.has(name);
  if (kind == "names") return static_cast<double>(columns.names().size());
  throw std::runtime_error("no such kind");
}

ZEROTH_REWARD(probe, "what it is asked for", "limit", "word") {
  const std::string_view asked = item.completion;
  if (asked == "limit") return parameters.number("limit", 200);
  if (asked == "word") return static_cast<double>(parameters.text("word", "").size());
  if (asked == "prompt") return static_cast<double>(item.prompt.size());
  if (asked == "reference") return static_cast<double>(item.reference.size());
  if (asked == "num_tokens") return static_cast<double>(item.num_tokens);
  if (asked == "max_tokens") return static_cast<double>(item.max_tokens);
  if (asked == "was_cut") return item.was_cut;
  if (asked == "ids") {
    double sum = 0;
    for (const std::int32_t token : item.completion_ids) sum = 10 * sum + token;
    return sum + 0.1 * static_cast<double>(item.completion_ids.size());
  }
  if (asked == "not applicable") return zeroth::not_applicable;
  if (asked == "throw 7") throw 7;
  if (asked == "bad_alloc") throw std::bad_alloc();
  const std::size_t space = asked.find(' ');
  if (space == asked.npos) return -1;
  return column(asked.substr(0, space), asked.substr(space + 1), item.columns);
}
#endif
