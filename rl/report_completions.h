// What a report shows of a run's completions.
#pragma once

#include <boost/json/array.hpp>
#include <filesystem>

namespace zeroth {

/// Of the first, the middle and the last step that were written, completions of some prompts:
/// those with the highest, the median and the lowest reward. InputError as read_completions.
boost::json::array completions_of(const std::filesystem::path& directory);

}  // namespace zeroth
