// The shapes that zeroth init knows by name, as config.json objects: tools/presets/NAME.json, which
// are compiled in.
//
// Those of published models are their config.json without what only their training or their
// tokenizer's ids need; num_nextn_predict_layers is 0 and the weights are not fp8.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

namespace zeroth {

/// Sorted: "deepseek-v2", …, "tiny-mla-moe".
std::vector<std::string> preset_names();

/// The object of a preset, or what stands in the config.json that `name` is the path of. Throws
/// InputError.
boost::json::object preset_config(const std::string& name);

/// Whether `name` is that of a published model, whose vocabulary is part of its shape.
bool is_published_preset(const std::string& name);

}  // namespace zeroth
