// Boost.JSON with the errors a user needs: a value is asked for by key and type, and what is
// missing or mistyped is an InputError that names the source, the path of keys and the value found.
// No schema, no reflection.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace zeroth {

/// Whether a key may stand twice in an object, in which case the last one counts.
enum class JsonKeys { any, unique };

/// One value of a JSON document, the source it came from and the path of keys that leads to it.
/// Copies share the document.
///
/// A getter with a default gives it for a key that is absent or null; a value of another type is an
/// error all the same. Integers must be written as integers (4096, not 4096.0); get_double takes
/// both.
class JsonReader {
 public:
  /// Strict JSON (UTF-8, no comments). InputError with line and byte for a syntax error, and for a
  /// key that stands twice in an object where `keys` are to be unique.
  static JsonReader parse(std::string_view text, const std::string& source,
                          JsonKeys keys = JsonKeys::any);
  static JsonReader read(const std::filesystem::path& file);

  const boost::json::value& value() const { return *value_; }
  const std::string& source() const { return source_; }
  const std::string& path() const { return path_; }

  /// Whether the object has `key` with a value other than null.
  bool has(std::string_view key) const;
  /// Whether the object has `key`, null included.
  bool contains(std::string_view key) const;
  JsonReader child(std::string_view key) const;
  std::vector<std::string> keys() const;     // of an object, in the order of the document
  std::vector<JsonReader> elements() const;  // of an array

  std::int64_t get_int64(std::string_view key) const;
  std::int64_t get_int64(std::string_view key, std::int64_t fallback) const;
  double get_double(std::string_view key) const;
  double get_double(std::string_view key, double fallback) const;
  bool get_bool(std::string_view key) const;
  bool get_bool(std::string_view key, bool fallback) const;
  std::string get_string(std::string_view key) const;
  std::string get_string(std::string_view key, std::string_view fallback) const;

  // The value itself.
  std::int64_t as_int64() const;
  double as_double() const;
  bool as_bool() const;
  std::string as_string() const;

  /// Throws the InputError for this value; the actual value is its own text, shortened.
  [[noreturn]] void fail(const std::string& expected) const;
  /// The same for `key` of this object; "nothing" when it is absent.
  [[noreturn]] void fail(std::string_view key, const std::string& expected) const;

 private:
  JsonReader(std::shared_ptr<const boost::json::value> document, const boost::json::value* value,
             std::string source, std::string path);
  const boost::json::value* find(std::string_view key) const;
  std::string child_path(std::string_view key) const;

  std::shared_ptr<const boost::json::value> document_;
  const boost::json::value* value_;
  std::string source_;
  std::string path_;
};

enum class JsonLayout { compact, indented };  // one line; two spaces a level

/// JSON text of `value`. A double takes the fewest digits that read back as the same double and
/// always shows that it is one (1.0, 1e-06). std::invalid_argument for NaN and infinities, which
/// JSON cannot hold.
std::string write_json(const boost::json::value& value, JsonLayout layout = JsonLayout::compact);

/// The text write_json gives a double.
std::string json_number(double value);

}  // namespace zeroth
