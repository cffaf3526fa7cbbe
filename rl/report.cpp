#include "rl/report.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <stdexcept>
#include <vector>

#include "rl/report_data.h"
#include "rl/report_files.h"
#include "system/file.h"
#include "system/json.h"

namespace zeroth {
namespace {

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // OpenSSL adds a zero
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// How a Content-Security-Policy names a script or a style sheet that may be used.
std::string hash_source(std::string_view content) {
  return "'sha256-" + base64(sha256(content)) + "'";
}

// The page fetches nothing, and runs and styles itself with these three texts only.
std::string security_policy() {
  return "default-src 'none'; img-src data:; style-src " + hash_source(report_files::style()) +
         "; script-src " + hash_source(report_files::library()) + " " +
         hash_source(report_files::script());
}

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::string json_for_script(const boost::json::object& data) {
  constexpr std::string_view kLineSeparator = "\xE2\x80\xA8";       // U+2028
  constexpr std::string_view kParagraphSeparator = "\xE2\x80\xA9";  // U+2029
  const std::string json = write_json(data);
  std::string out;
  out.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = std::string_view(json).substr(i, 3);
    // These characters stand in strings only, where an escape means the same.
    if (json[i] == '<') {
      out += "\\u003c";
    } else if (json[i] == '>') {
      out += "\\u003e";
    } else if (json[i] == '&') {
      out += "\\u0026";
    } else if (rest == kLineSeparator || rest == kParagraphSeparator) {
      out += rest == kLineSeparator ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      out += json[i];
    }
  }
  return out;
}

std::string fill_page(std::string_view text, std::span<const PageValue> values) {
  std::string out;
  for (;;) {
    const std::size_t open = text.find("{{");
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const std::size_t close = text.find("}}", open);
    const std::string_view name =
        text.substr(open + 2, close == std::string_view::npos ? close : close - open - 2);
    const auto found = std::find_if(values.begin(), values.end(),
                                    [&](const PageValue& value) { return value.name == name; });
    if (close == std::string_view::npos || found == values.end())
      throw std::invalid_argument("fill_page: no value for {{" + std::string(name.substr(0, 40)));
    out += found->value;
    text.remove_prefix(close + 2);
  }
}

std::string report_page(const boost::json::object& data) {
  const std::string policy = security_policy();
  const std::string title = html_text(std::string_view(data.at("title").as_string()));
  const std::string json = json_for_script(data);
  const std::array<PageValue, 6> values = {{{"policy", policy},
                                            {"title", title},
                                            {"style", report_files::style()},
                                            {"library", report_files::library()},
                                            {"script", report_files::script()},
                                            {"data", json}}};
  return fill_page(report_files::page(), values);
}

void write_report(std::span<const std::filesystem::path> directories,
                  const std::filesystem::path& file, const std::string& build) {
  write_file_atomically(file, report_page(report_data(directories, build)));
}

}  // namespace zeroth
