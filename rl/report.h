// zeroth report: runs as one HTML page that needs no network.
//
// Goal: whoever opens the file sees what a run did, on any screen, years later. The page is a
// function of the runs' directories: no date, no random number. Non-goal: a page that follows a run
// (report_to = ["tensorboard"] does).
#pragma once

#include <boost/json/object.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace zeroth {

/// The page around `data`, of report_data(). Texts in it come from models and are not trusted: they
/// stand in a block of data, and nothing but the page's own scripts is allowed to run.
std::string report_page(const boost::json::object& data);

/// Reads `directories` and writes `file`, whole or not at all. InputError as report_data;
/// std::system_error when the file cannot be written.
void write_report(std::span<const std::filesystem::path> directories,
                  const std::filesystem::path& file, const std::string& build);

/// JSON text that a <script> element holds as it is: whatever its strings are, none ends the
/// element, opens a comment in it, or ends a line of script.
std::string json_for_script(const boost::json::object& data);

/// `text` with its {{name}} marks replaced by what `values` holds, once: marks inside values stay.
/// std::invalid_argument for a mark without a value.
struct PageValue {
  std::string_view name, value;
};
std::string fill_page(std::string_view text, std::span<const PageValue> values);

}  // namespace zeroth
